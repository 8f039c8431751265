/**
 * A body on disk: a file that only we can open and that has no name any more once it is open, so that nothing is left
 * behind however we end. Owns one file handle.
 */
import { randomUUID } from 'node:crypto';
import { type FileHandle, mkdir, open, unlink } from 'node:fs/promises';
import { join } from 'node:path';

const READ_PIECE_BYTES = 256 * 1024;

export interface SpoolFile {
  /** In order; the next write must wait for the last. */
  append(chunk: Buffer): Promise<void>;
  /** From the start; any number of times. A piece is good until the next one is asked for. */
  read(): AsyncIterable<Buffer>;
  close(): Promise<void>;
}

/** Rejects with the system's error (ENOSPC, EACCES, …). `folder` is made if it is not there. */
export async function openSpoolFile(folder: string): Promise<SpoolFile> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const path = join(folder, randomUUID());
  const handle = await open(path, 'wx+', 0o600);
  try {
    await unlink(path);
  } catch (error) {
    await handle.close();
    throw error;
  }
  let sizeBytes = 0;
  return {
    async append(chunk) {
      let writtenBytes = 0;
      while (writtenBytes < chunk.length) {
        const { bytesWritten } = await handle.write(chunk, writtenBytes, chunk.length - writtenBytes, sizeBytes);
        writtenBytes += bytesWritten;
        sizeBytes += bytesWritten;
      }
    },
    read: () => pieces(handle, sizeBytes),
    close: () => handle.close(),
  };
}

async function* pieces(handle: FileHandle, sizeBytes: number): AsyncGenerator<Buffer> {
  // One for all pieces: a fresh one each would be hundreds of MiB of garbage before anybody collects it.
  const buffer = Buffer.allocUnsafeSlow(Math.min(READ_PIECE_BYTES, sizeBytes));
  for (let at = 0; at < sizeBytes; ) {
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, at);
    if (bytesRead === 0) throw new Error(`a spool file ended after ${at} of ${sizeBytes} bytes`);
    at += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}
