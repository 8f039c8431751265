/** What a client program sends, and what it must get back to go on. Types only. */

export interface ClientAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

/** Throws where the client could not go on. */
export type Expectation = (answer: ClientAnswer) => void;

export interface ClientRequest {
  readonly what: string;
  readonly method?: 'GET' | 'POST' | 'HEAD';
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly json?: object;
  /** The sound is the test's; the other fields come before or behind it. */
  readonly form?: {
    readonly before?: readonly (readonly [string, string])[];
    readonly file: string;
    readonly behind?: readonly (readonly [string, string])[];
  };
  readonly expect: Expectation;
  /** Answered all the same while every service is down. */
  readonly isProbe?: boolean;
}

export interface ClientProgram {
  readonly name: string;
  readonly requests: readonly ClientRequest[];
}

export interface Expectations {
  /** A list of models that has these. */
  readonly models: (...ids: readonly string[]) => Expectation;
  readonly model: (id: string) => Expectation;
  /** Events up to `[DONE]`, each of a form that the strictest client takes. `usage`: a piece with the figures, or none. */
  readonly stream: (options: { readonly usage: boolean }) => Expectation;
  readonly chat: Expectation;
  readonly embeddings: (count: number, encoding: 'base64' | 'float') => Expectation;
  readonly transcript: Expectation;
  readonly sound: (format: 'mp3' | 'wav') => Expectation;
  readonly picture: Expectation;
  readonly json: (check: (value: unknown) => boolean) => Expectation;
  readonly lines: Expectation;
  /** An error object, as all SDKs parse it. */
  readonly refusal: (...statuses: readonly number[]) => Expectation;
}
