/** A picture as a consumer made it, and what kind of file it is by its first bytes. Keeps nothing. */

export interface Picture {
  readonly bytes: Buffer;
}

/** Ten large ones; what is more is held by nobody. */
export const LARGEST_PICTURES_BYTES = 128 * 1024 * 1024;

const TYPES: readonly { readonly mark: RegExp; readonly type: string; readonly extension: string }[] = [
  { mark: /^\x89PNG/, type: 'image/png', extension: 'png' },
  { mark: /^\xff\xd8\xff/, type: 'image/jpeg', extension: 'jpg' },
  { mark: /^RIFF.{4}WEBP/s, type: 'image/webp', extension: 'webp' },
  { mark: /^GIF8/, type: 'image/gif', extension: 'gif' },
];

export function typeOfPicture(bytes: Buffer): { readonly type: string; readonly extension: string } {
  const head = bytes.toString('latin1', 0, 12);
  return TYPES.find(({ mark }) => mark.test(head)) ?? { type: 'application/octet-stream', extension: 'bin' };
}
