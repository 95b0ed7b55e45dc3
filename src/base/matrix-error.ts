/**
 * An error as Matrix clients read it: a status, an errcode and a text that helps. Whoever finds the fault makes it
 * (auth, http); http writes it out once (http/errors.ts). Source: Client-Server API, "Standard error response".
 *
 * It is an answer, not a fault, so nobody reads a stack: it has none, which makes it cheap to make and to remember.
 */
export interface MatrixErrorDetails {
  /** Only with M_UNKNOWN_TOKEN and M_USER_LOCKED: the session may be renewed rather than thrown away. */
  readonly softLogout?: boolean;
  /** Whole seconds; becomes `Retry-After`, and with 429 `retry_after_ms` too. */
  readonly retryAfterSeconds?: number;
  readonly cause?: unknown;
}

export class MatrixError extends Error {
  override name = 'MatrixError';
  readonly status: number;
  readonly errcode: string;
  readonly softLogout: boolean | undefined;
  readonly retryAfterSeconds: number | undefined;

  constructor(status: number, errcode: string, message: string, details: MatrixErrorDetails = {}) {
    const { stackTraceLimit } = Error;
    Error.stackTraceLimit = 0;
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    Error.stackTraceLimit = stackTraceLimit;
    this.status = status;
    this.errcode = errcode;
    this.softLogout = details.softLogout;
    this.retryAfterSeconds = details.retryAfterSeconds;
  }
}
