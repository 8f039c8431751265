/** What the demo prints: where it is, what runs, and lines to paste into a shell. Owns nothing. */
import type { FleetMember } from './fleet.js';

const SENTENCE = 'Good evening, the card is yours for a moment.';
const QUESTION = 'Why do many programs share one card so badly?';

/** ComfyUI's usual text-to-image graph. */
export const PICTURE_REQUEST = {
  prompt: {
    '1': { class_type: 'CheckpointLoaderSimple', inputs: { ckpt_name: 'demo-xl.safetensors' } },
    '2': {
      class_type: 'CLIPTextEncode',
      inputs: { text: 'a gold sunset over the sea, small boats, soft hills', clip: ['1', 1] },
    },
    '3': { class_type: 'CLIPTextEncode', inputs: { text: 'blurry', clip: ['1', 1] } },
    '4': { class_type: 'EmptyLatentImage', inputs: { width: 512, height: 512, batch_size: 1 } },
    '5': {
      class_type: 'KSampler',
      inputs: {
        model: ['1', 0],
        positive: ['2', 0],
        negative: ['3', 0],
        latent_image: ['4', 0],
        seed: 42,
        steps: 20,
        cfg: 7,
        sampler_name: 'euler',
        scheduler: 'normal',
        denoise: 1,
      },
    },
    '6': { class_type: 'VAEDecode', inputs: { samples: ['5', 0], vae: ['1', 2] } },
    '7': { class_type: 'SaveImage', inputs: { images: ['6', 0], filename_prefix: 'demo' } },
  },
};

/** The same graph for the OpenAI route, with places to fill in. */
export const PICTURE_WORKFLOW = {
  ...PICTURE_REQUEST.prompt,
  '2': { class_type: 'CLIPTextEncode', inputs: { text: '%prompt%', clip: ['1', 1] } },
  '4': { class_type: 'EmptyLatentImage', inputs: { width: '%width%', height: '%height%', batch_size: '%n%' } },
  '5': { class_type: 'KSampler', inputs: { ...PICTURE_REQUEST.prompt['5'].inputs, seed: '%seed%' } },
};

export interface WelcomeFacts {
  readonly url: string;
  readonly policy: string;
  readonly cardName: string;
  readonly cardMib: number;
  readonly members: readonly FleetMember[];
  /** A file with `PICTURE_REQUEST`. */
  readonly pictureFile: string;
}

/** The lines to paste, by what they show. Each block works by itself, but for `stt`, which needs the WAV of `tts`. */
export function curlLines(
  url: string,
  pictureFile: string,
): Readonly<Record<'tts' | 'stt' | 'llm' | 'image' | 'openai' | 'status', string>> {
  const json = `-H 'Content-Type: application/json'`;
  const chat = { model: 'qwen3:8b', messages: [{ role: 'user', content: QUESTION }] };
  return {
    tts: [
      `wav=$(curl -s ${url}/v1/tts ${json} -d '${JSON.stringify({ text: SENTENCE })}' | sed 's/.*"audio":"\\([^"]*\\)".*/\\1/')`,
      `curl -s -o speech.wav "${url}$wav"`,
    ].join('\n'),
    stt: `curl -s ${url}/v1/stt -F file=@speech.wav`,
    llm: `curl -sN ${url}/v1/llm ${json} -d '${JSON.stringify(chat)}'`,
    image: [
      `id=$(curl -s ${url}/v1/image ${json} -d @${pictureFile} | sed 's/.*"prompt_id": *"\\([^"]*\\)".*/\\1/')`,
      `until curl -s ${url}/consumers/comfyui/history/$id | grep -q status_str; do sleep 1; done`,
      `png=$(curl -s ${url}/consumers/comfyui/history/$id | sed 's/.*"filename": *"\\([^"]*\\)".*/\\1/')`,
      `curl -s -o picture.png "${url}/consumers/comfyui/view?filename=$png&subfolder=&type=output"`,
    ].join('\n'),
    openai: [
      `curl -s ${url}/v1/models`,
      `curl -sN ${url}/v1/chat/completions ${json} -d '${JSON.stringify({ ...chat, stream: true })}'`,
    ].join('\n'),
    status: `curl -s ${url}/v1/status`,
  };
}

export function welcome(facts: WelcomeFacts): string {
  const lines = curlLines(facts.url, facts.pictureFile);
  const services = facts.members.map(({ name, url, pid }) => `    ${name.padEnd(16)} ${url}  (process ${pid})`);
  return `The page: ${facts.url}/ui/

  mGPUmanager listens on ${facts.url}.

  Behind it, policy ${facts.policy}, on a pretend card (${facts.cardName}, ${facts.cardMib.toLocaleString('en')} MiB):
${services.join('\n')}
  They speak the real services' interfaces and need no GPU: speech is tones, and is read back from the tones.

  Try, in another terminal:

# text to speech, then its WAV
${lines.tts}

# speech to text: the sentence comes back out of the audio
${lines.stt}

# a language model, token by token
${lines.llm}

# an image: picture.png, after a few seconds
${lines.image}

# the same for every OpenAI client: base URL ${facts.url}/v1, any key
${lines.openai}

# who has the card, who waits, and why
${lines.status}

  Ctrl-C ends everything.
`;
}
