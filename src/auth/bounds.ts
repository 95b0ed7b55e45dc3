/** What is asked of the homeserver at once, and what is kept of its answers, with what each bound trades. */

/** Connections to the homeserver, with a call each. */
export const connectionsMax = 64;

/** Calls that run or wait for a connection before further ones are refused: `versions` needs no token, so anyone can cause them. */
export const callsInFlightMax = 2_048;

/** How long a call may take from first to last. */
export const callTimeoutMs = 10_000;

/** What it may answer to `whoami` or `versions`, in bytes. */
export const answerBytesMax = 256 * 1024;

/** Longer texts of a refusal are replaced rather than passed on: it is remembered, and so many must not fill the memory. */
export const passedTextMax = 1_000;
export const passedErrcodeMax = 255;

/** The longest time to wait that is passed on. */
export const retrySecondsMax = 86_400;

/** Access tokens that are looked up at once; further ones are refused with 503. */
export const lookUpsMax = 1_024;

/** Refused access tokens that are remembered: about 500 bytes each, 2 kB at most. */
export const refusedTokensMax = 10_000;
