/** Server-sent events out of a stream of bytes (WHATWG HTML, 9.2). Owns the line that is not complete yet; bounded. */
export interface ServerEvent {
  readonly name: string;
  readonly data: string;
}

/** The daemon's events are far smaller. */
const LONGEST_EVENT_CHARACTERS = 4 * 1024 * 1024;

/** Ends with the stream; what is not complete then is dropped, as the specification says. */
export async function* eventsOf(stream: AsyncIterable<Uint8Array>): AsyncGenerator<ServerEvent> {
  const decoder = new TextDecoder();
  let rest = '';
  let name = 'message';
  let data: string[] = [];
  for await (const chunk of stream) {
    rest += decoder.decode(chunk, { stream: true });
    if (rest.length > LONGEST_EVENT_CHARACTERS) throw new Error('a line of the event stream is longer than 4 MiB');
    const lines = rest.split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines.map((each) => each.replace(/\r$/, ''))) {
      if (line === '') {
        if (data.length > 0) yield { name, data: data.join('\n') };
        name = 'message';
        data = [];
        continue;
      }
      const [, field, value = ''] = /^([^:]*):? ?(.*)$/s.exec(line) ?? [];
      if (field === 'event') name = value;
      if (field === 'data') data.push(value);
    }
  }
}
