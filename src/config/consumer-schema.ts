/**
 * The schema of one consumer in the file (the general part is in `schema.ts`). `.prefault` gives the general default
 * of a key, as a person would write it; `absent` says in a word what holds where a key has none. Owns no state.
 */
import * as z from 'zod';
import { type CallSpec, KIND_NAMES, type ProcessMatch } from './configuration.js';
import * as leaf from './leaves.js';
import { readCallLine } from './values.js';

/** Names of headers that belong to one connection and not to a consumer; the proxy sets them itself. */
const OF_THE_CONNECTION = /^(connection|content-length|expect|host|keep-alive|te|trailer|transfer-encoding|upgrade)$/i;
/** RFC 9110, 5.6.2. */
const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

const headerName = z
  .string()
  .regex(HEADER_NAME, { error: 'not the name of a header; write letters, digits and -' })
  .refine((name) => !OF_THE_CONNECTION.test(name), {
    error: 'this header belongs to the connection and is set by the broker; remove it',
  });

const headerValue = z
  .string({ error: leaf.unlessAbsent('not a text; put the value in quotes') })
  .regex(/^[\t\x20-\x7e\x80-\xff]*$/, { error: 'a line break or a character that no header can carry; remove it' });

const headers = z.record(headerName, headerValue, {
  error: leaf.unlessAbsent('not headers; write one NAME: value a line'),
});

const callLine = z
  .string({ error: 'not a call; write for instance POST /unload' })
  .meta({ examples: ['POST /unload'] })
  .transform((given, context): { method: string; path: string } => {
    const reading = readCallLine(given);
    if ('value' in reading) return reading.value;
    context.issues.push({ code: 'custom', input: given, message: reading.wrong });
    return z.NEVER;
  });

const requestCall = z.strictObject({
  method: leaf.word(['GET', 'POST', 'PUT', 'PATCH', 'DELETE']).prefault('POST').describe('HTTP method'),
  path: leaf.path.describe('path on the consumer'),
  body: z
    .union([z.string(), z.record(z.string(), z.unknown()), z.array(z.unknown())], {
      error: 'not a body; write a text, or an object that is sent as JSON',
    })
    .optional()
    .meta({ description: 'a text is sent as it is, anything else as JSON', absent: 'none' }),
  headers: headers.prefault({}).describe('sent with this call only; never shown'),
});

const commandCall = z.strictObject({
  command: z
    .array(z.string({ error: 'not a text; put the word in quotes' }).min(1, { error: 'an empty word; remove it' }), {
      error: leaf.unlessAbsent('not a list of words; write for instance [systemctl, --user, stop, NAME.service]'),
    })
    .min(1, { error: 'an empty command; write at least the name of a program' })
    .describe('program and its arguments, run without a shell'),
});

const JSON_TYPE = { 'content-type': 'application/json' };

function callSpec(given: z.output<typeof requestCall | typeof commandCall | typeof callLine>): CallSpec {
  if ('command' in given) return given;
  const { method, path } = given;
  const body = 'body' in given ? given.body : undefined;
  const own = 'headers' in given ? given.headers : {};
  if (body === undefined || typeof body === 'string') return { method, path, body: body ?? null, headers: own };
  const typed = Object.keys(own).some((name) => name.toLowerCase() === 'content-type');
  return { method, path, body: JSON.stringify(body), headers: typed ? own : { ...JSON_TYPE, ...own } };
}

const call = z
  .union([callLine, commandCall, requestCall], {
    error: 'not a call; write POST /path, or {method, path, body, headers}, or {command: [...]}',
  })
  .transform(callSpec);

const status = z
  .int({ error: 'not an HTTP status; write a number such as 200' })
  .min(100, { error: 'not an HTTP status; write a number from 100 to 599' })
  .max(599, { error: 'not an HTTP status; write a number from 100 to 599' });

export const health = z.union(
  [
    leaf.path,
    z.strictObject({
      path: leaf.path.describe('path that is asked'),
      expect: z
        .union(
          [status, z.array(status).min(1, { error: 'an empty list; write at least one status' }), z.string().min(1)],
          {
            error: 'not an expectation; write a status, a list of them, or a text that the answer contains',
          },
        )
        .optional()
        .meta({ description: 'a status, a list of them, or a text that the answer contains', absent: '200 to 299' }),
    }),
  ],
  { error: 'not a path; write for instance /health, or {path: /health, expect: 200}' },
);

const processes = z
  .union(
    [
      z.strictObject({ unit: leaf.unit }),
      z.strictObject({ cgroup: leaf.pattern }),
      z.strictObject({ name: leaf.pattern }),
    ],
    {
      error: 'not a way to find processes; write one of {unit: NAME}, {cgroup: REGEX}, {name: REGEX}',
    },
  )
  .transform((given): ProcessMatch => given);

const model = z.strictObject({
  vram_resident_mib: leaf.mib.optional().meta({ description: 'MiB when loaded and idle', absent: 'learned' }),
  vram_run_mib: leaf.mibOrZero.optional().meta({ description: 'MiB that a run adds', absent: 'learned' }),
  class: leaf.jobClass.optional().meta({ description: "usual class of this model's jobs", absent: "the consumer's" }),
  pin: leaf.yesOrNo.prefault(false).describe('never evicted by the broker'),
});

const timeouts = z.strictObject({
  connect: leaf.duration.prefault('2s').describe('until the connection stands'),
  load: leaf.duration.prefault('3m').describe('until a load is done'),
  unload: leaf.duration.prefault('15s').describe('until an unload shows in the reading'),
  upload: leaf.duration.prefault('10m').describe("until the consumer has taken the job's body"),
  first_byte: leaf.duration.optional().meta({ description: "until the answer's first byte", absent: 'as run' }),
  idle: leaf.duration.prefault('5m').describe('silence in the middle of an answer'),
  run: leaf.duration.prefault('60m').describe('one job, from its grant to its end'),
});

const memberName = z
  .string({ error: leaf.unlessAbsent('not a name; write the name of a member of the JSON body') })
  .min(1, { error: 'an empty name; write the name of a member of the JSON body' });

const speech = z.strictObject({
  path: leaf.path.optional().meta({ description: 'where speech is asked for', absent: 'paths.tts' }),
  text: memberName.prefault('input').describe('member of the JSON body that holds the text'),
  voice: memberName.prefault('voice').describe('member of the JSON body that holds the voice'),
  audio: memberName.optional().meta({
    description: 'member of the JSON answer that holds the path of a WAV',
    absent: 'the answer is the audio',
  }),
  formats: leaf.word(['any', 'wav']).optional().meta({
    description: 'any: what response_format asks for; wav: WAV only, the rest is made by ffmpeg',
    absent: 'wav where `audio` is given, else any',
  }),
});

const A_WORKFLOW = 'not a workflow; write the path of its JSON file';
const DEFAULT_SIZE = '1024x1024';

const workflowFile = z
  .string({ error: leaf.unlessAbsent(A_WORKFLOW) })
  .min(1, { error: 'an empty path; write that of a JSON file' })
  .meta({ examples: ['workflows/sdxl.json'] });

const workflow = z
  .union(
    [
      workflowFile,
      z.strictObject({
        file: workflowFile,
        size: leaf.pictureSize.prefault(DEFAULT_SIZE).describe('size where a client names none'),
      }),
    ],
    { error: A_WORKFLOW },
  )
  .transform((given) =>
    typeof given === 'string' ? { file: given, size: leaf.pictureSize.parse(DEFAULT_SIZE) } : given,
  );

const voiceName = z.string({ error: leaf.unlessAbsent('not a voice; write the name of one') });

const A_LIST_OF_NAMES = 'not a list; write the names of consumers, such as [ollama]';

export const consumerSchema = z.strictObject({
  kind: leaf.word(KIND_NAMES).prefault('http').describe('which service it is; a kind brings defaults for all below'),
  url: leaf.serviceUrl
    .optional()
    .meta({ description: 'address, `http://host:port`; `http`: required', absent: "the kind's" }),
  health: health
    .optional()
    .meta({ description: 'path of the probe, or {path, expect}', absent: 'any answer below 500 to GET /' }),
  paths: leaf
    .perCapability(leaf.path)
    .prefault({})
    .describe('where a façade request goes; `http`: required where a route names it'),
  passes: leaf
    .listOf(leaf.passPattern, 'not a list; write patterns such as [POST /api/show]')
    .prefault([])
    .describe("METHOD /pattern below /consumers/NAME/ that need no grant, `*` for anything; replaces the kind's list"),
  vram_resident_mib: leaf.mib.optional().meta({ description: 'MiB of VRAM when loaded and idle', absent: 'learned' }),
  vram_run_mib: leaf.mibOrZero.optional().meta({ description: 'MiB that a run adds to it', absent: 'learned' }),
  can_coexist_with: leaf
    .listOf(leaf.consumerName, A_LIST_OF_NAMES)
    .prefault([])
    .describe('consumers that are spared when room is made for this one'),
  load: call
    .optional()
    .meta({ description: 'POST /path, {method, path, body, headers} or {command}', absent: "the kind's" }),
  unload: call.optional().meta({ description: 'likewise', absent: "the kind's" }),
  unit: leaf.unit.optional().meta({ description: 'its systemd user unit', absent: 'none' }),
  start: leaf.word(['parked', 'on-demand', 'never']).prefault('parked').describe('what the broker may start'),
  processes: processes.optional().meta({
    description: 'whose VRAM is its: {unit}, {cgroup: REGEX} or {name: REGEX}',
    absent: 'the process that listens on the port, and its descendants',
  }),
  parallel: leaf.whole(1, 1000, 'jobs').prefault(1).describe('jobs of one target that may run at once'),
  class: leaf.jobClass.prefault('interactive').describe("its jobs' usual class"),
  models: z
    .record(z.string(), model, { error: leaf.unlessAbsent('not models; write one NAME: {...} a line') })
    .prefault({})
    .describe('by name of the model'),
  cards: leaf
    .listOf(leaf.whole(0, 63, 'as the index of a card'), 'not a list; write indexes of cards, such as [0]')
    .min(1, { error: 'an empty list; write at least one card' })
    .prefault([0])
    .describe('which cards it uses'),
  pin: leaf.yesOrNo.prefault(false).describe('never evicted by the broker'),
  idle_unload: leaf.notYet(''),
  front: leaf.notYet('; its interface is below /consumers/NAME/'),
  headers: headers.prefault({}).describe('added to what goes upstream; never shown'),
  drain: leaf.durationOrZero
    .prefault('5s')
    .describe('how long its GPU work is believed to go on after a job was broken off'),
  timeouts: timeouts.prefault({}).describe('each ends in its own error'),
  waiting: leaf
    .word(['off', 'comment', 'reasoning'])
    .prefault('comment')
    .describe(
      'what a streamed chat on the OpenAI routes is sent while its job waits, after 20 s and then every 15 s: nothing, comments, or what goes on as reasoning text',
    ),
  speech: speech
    .optional()
    .meta({ description: 'how it is asked for speech', absent: 'as the OpenAI API asks, if its kind speaks that' }),
  voices: z
    .record(z.string(), voiceName, { error: leaf.unlessAbsent('not voices; write one NAME: VOICE a line') })
    .prefault({})
    .describe('voices by the name that clients ask for; empty: every name passes as it is'),
  workflows: z
    .record(z.string().min(1, { error: 'an empty name; write the name that clients ask for' }), workflow, {
      error: leaf.unlessAbsent('not workflows; write one NAME: FILE a line'),
    })
    .prefault({})
    .describe(
      'comfyui: pictures on the OpenAI routes, NAME: FILE or {file, size} a model; a workflow in API format with %prompt% and others filled in',
    ),
  default_voice: voiceName.optional().meta({
    description: 'asked for where a client names no voice, or one that `voices` does not have',
    absent: 'what the client said',
  }),
});

/** A consumer as the file says it, checked, with the general defaults filled in. */
export type CheckedConsumer = z.output<typeof consumerSchema>;
