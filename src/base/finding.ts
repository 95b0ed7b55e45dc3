/**
 * What a check of `doctor` found: a line for people. A check stands beside the code that it is about.
 */
export interface Finding {
  readonly level: 'ok' | 'warn' | 'FAIL';
  /** What was looked at. */
  readonly check: string;
  /** What was found and, unless all is well, what to do. */
  readonly text: string;
}

export const ok = (check: string, text: string): Finding => ({ level: 'ok', check, text });
export const warn = (check: string, text: string): Finding => ({ level: 'warn', check, text });
export const fail = (check: string, text: string): Finding => ({ level: 'FAIL', check, text });
