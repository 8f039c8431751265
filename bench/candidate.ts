/** One of those who are compared; each passes the same paths on to the same services. */
export interface Candidate {
  readonly name: 'direct' | 'nginx' | 'relay' | 'mgpu';
  readonly url: string;
  /** null: no proxy. */
  readonly pid: number | null;
}

/** Each round begins with another one, so that what the machine does meanwhile falls on all of them. */
export function inTurn<Each>(all: readonly Each[], round: number): readonly Each[] {
  const first = round % all.length;
  return [...all.slice(first), ...all.slice(0, first)];
}
