/** How far a source has been read, under its name: committed with the changes that it covers. */
export interface Cursor {
  readonly source: string;
  readonly value: Uint8Array;
}
