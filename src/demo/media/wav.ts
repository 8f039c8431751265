/** WAV files: written as 16-bit PCM mono, read in the usual PCM and float forms. Owns nothing. */

export interface Sound {
  /** Samples a second. */
  readonly sampleRateHz: number;
  /** Mono, -1 to 1. */
  readonly samples: Float32Array;
}

const HEADER_BYTES = 44;
const FORMAT_PCM = 1;
const FORMAT_FLOAT = 3;
const FORMAT_EXTENSIBLE = 0xfffe;
/** Largest value of a 16-bit sample. */
const FULL_SCALE = 32_767;

/** RIFF/WAVE with one `fmt ` and one `data` chunk: 16-bit PCM, one channel. */
export function writeWav(sound: Sound): Buffer {
  const dataBytes = sound.samples.length * 2;
  const file = Buffer.alloc(HEADER_BYTES + dataBytes);
  file.write('RIFF', 0, 'latin1');
  file.writeUInt32LE(HEADER_BYTES - 8 + dataBytes, 4);
  file.write('WAVEfmt ', 8, 'latin1');
  file.writeUInt32LE(16, 16);
  file.writeUInt16LE(FORMAT_PCM, 20);
  file.writeUInt16LE(1, 22);
  file.writeUInt32LE(sound.sampleRateHz, 24);
  file.writeUInt32LE(sound.sampleRateHz * 2, 28);
  file.writeUInt16LE(2, 32);
  file.writeUInt16LE(16, 34);
  file.write('data', 36, 'latin1');
  file.writeUInt32LE(dataBytes, 40);
  sound.samples.forEach((sample, index) => {
    const clipped = Math.max(-1, Math.min(1, sample));
    file.writeInt16LE(Math.round(clipped * FULL_SCALE), HEADER_BYTES + index * 2);
  });
  return file;
}

interface Format {
  readonly code: number;
  readonly channels: number;
  readonly sampleRateHz: number;
  readonly bits: number;
}

type SampleReader = (data: Buffer, offset: number) => number;

/** null: a form that is not read here. */
function sampleReader(format: Format): SampleReader | null {
  if (format.code === FORMAT_FLOAT) {
    return format.bits === 32 ? (data, offset) => data.readFloatLE(offset) : null;
  }
  if (format.code !== FORMAT_PCM) return null;
  switch (format.bits) {
    case 8:
      return (data, offset) => (data.readUInt8(offset) - 128) / 128;
    case 16:
    case 24:
    case 32: {
      const scale = 2 ** (format.bits - 1);
      return (data, offset) => data.readIntLE(offset, format.bits / 8) / scale;
    }
    default:
      return null;
  }
}

function readFormat(chunk: Buffer): Format | null {
  if (chunk.length < 16) return null;
  const code = chunk.readUInt16LE(0);
  return {
    // The extensible form keeps the real code in the first bytes of its sub-format.
    code: code === FORMAT_EXTENSIBLE && chunk.length >= 26 ? chunk.readUInt16LE(24) : code,
    channels: chunk.readUInt16LE(2),
    sampleRateHz: chunk.readUInt32LE(4),
    bits: chunk.readUInt16LE(14),
  };
}

function readSamples(format: Format, data: Buffer): Float32Array | null {
  const read = sampleReader(format);
  if (read === null || format.channels === 0 || format.sampleRateHz === 0) return null;
  const sampleBytes = format.bits / 8;
  const frameBytes = sampleBytes * format.channels;
  const samples = new Float32Array(Math.floor(data.length / frameBytes));
  for (let frame = 0; frame < samples.length; frame += 1) {
    let sum = 0;
    for (let channel = 0; channel < format.channels; channel += 1) {
      sum += read(data, frame * frameBytes + channel * sampleBytes);
    }
    samples[frame] = sum / format.channels;
  }
  return samples;
}

/** null: no WAV, a form that is not read here, or no sample in it. A cut file gives what is there. */
export function readWav(file: Buffer): Sound | null {
  if (file.length < 12 || file.toString('latin1', 0, 4) !== 'RIFF' || file.toString('latin1', 8, 12) !== 'WAVE') {
    return null;
  }
  let format: Format | null = null;
  for (let offset = 12; offset + 8 <= file.length; ) {
    const name = file.toString('latin1', offset, offset + 4);
    const sizeBytes = file.readUInt32LE(offset + 4);
    const chunk = file.subarray(offset + 8, offset + 8 + sizeBytes);
    if (name === 'fmt ') format = readFormat(chunk);
    if (name === 'data' && format !== null) {
      const samples = readSamples(format, chunk);
      return samples === null || samples.length === 0 ? null : { sampleRateHz: format.sampleRateHz, samples };
    }
    // Chunks are padded to an even length.
    offset += 8 + sizeBytes + (sizeBytes % 2);
  }
  return null;
}
