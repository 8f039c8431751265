/** Where the broker is and what stands behind it, as `run.ts` says. */
import { readFileSync } from 'node:fs';

const { env } = process;

export const ROOT = env.MGPU_TEST_BROKER ?? 'http://127.0.0.1:8770';
export const BASE = `${ROOT}/v1`;
export const SOUND = env.MGPU_TEST_SOUND ?? '';
export const sound = () => readFileSync(SOUND);

/** Names of models that chat: the stand-in's, and the real one's where there is one. */
export const STAND_INS = ['chat-model', 'llama3.2:3b'];
export const CHATS = [...STAND_INS, env.MGPU_TEST_REAL_LLAMA].filter((name) => name);
export const PAINTERS = ['dall-e-3', 'dall-e-2'];
export const TRANSCRIBERS = ['whisper-1', env.MGPU_TEST_REAL_WHISPER].filter((name) => name);

/** Consumers whose process may be killed. */
export const MORTALS = (env.MGPU_TEST_MORTALS ?? '').split(' ').filter((name) => name);

/** An order of `remote-control.ts`. */
export async function control(order) {
  const answer = await fetch(`${env.MGPU_TEST_CONTROL}/${order}`, { method: 'POST' });
  if (!answer.ok) throw new Error(`${order}: ${await answer.text()}`);
}

/** While `action` runs the stand-ins that chat fail in this way. */
export async function whileBroken(fault, action) {
  await control(`break/${fault}`);
  try {
    await action();
  } finally {
    await control('break/none');
  }
}

/** Its process is gone in mid-answer; or it says that it failed, ollama by an early end without a word. */
export const FAULTS_OF_STREAMS = ['reset-mid-answer', 'job-fails'];
/** Every way to break, at every stand-in. */
export const BREAKS = FAULTS_OF_STREAMS.flatMap((fault) => STAND_INS.map((model) => ({ fault, model })));
export const HELLO = [{ role: 'user', content: 'hello' }];

export async function untilIdle() {
  for (;;) {
    const { scheduler } = await (await fetch(`${ROOT}/v1/status`)).json();
    if (scheduler.in_flight === 0 && scheduler.queue_depth === 0) return;
  }
}

export async function untilRunning(consumer) {
  for (;;) {
    const { consumers } = await (await fetch(`${ROOT}/v1/status`)).json();
    if (consumers[consumer].active > 0) return;
  }
}
