/**
 * Looks into JSON of a daemon that may be older or newer than this command: what is missing or of another type is
 * unknown (null), never an error. Keeps nothing and changes nothing.
 */
export class JsonView {
  readonly #value: unknown;

  constructor(value: unknown) {
    this.#value = value;
  }

  at(key: string): JsonView {
    const value = this.#value;
    const has = typeof value === 'object' && value !== null && Object.hasOwn(value, key);
    return new JsonView(has ? Object.getOwnPropertyDescriptor(value, key)?.value : undefined);
  }

  text(key: string): string | null {
    const value = this.at(key).#value;
    return typeof value === 'string' ? value : null;
  }

  number(key: string): number | null {
    const value = this.at(key).#value;
    return typeof value === 'number' && Number.isFinite(value) ? value : null;
  }

  flag(key: string): boolean | null {
    const value = this.at(key).#value;
    return typeof value === 'boolean' ? value : null;
  }

  /** Milliseconds since 1970. */
  time(key: string): number | null {
    const time = Date.parse(this.text(key) ?? '');
    return Number.isNaN(time) ? null : time;
  }

  list(key: string): JsonView[] {
    const value = this.at(key).#value;
    return Array.isArray(value) ? value.map((item: unknown) => new JsonView(item)) : [];
  }

  texts(key: string): string[] {
    const value = this.at(key).#value;
    return Array.isArray(value) ? value.filter((item: unknown) => typeof item === 'string') : [];
  }

  /** Members of an object, in their order. */
  members(key: string): [string, JsonView][] {
    const value = this.at(key).#value;
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return [];
    return Object.entries(value).map(([name, member]) => [name, new JsonView(member)]);
  }

  get isObject(): boolean {
    return typeof this.#value === 'object' && this.#value !== null && !Array.isArray(this.#value);
  }
}
