/**
 * Who asks: from an access token to the user it belongs to.
 *
 * Invariant I8: `userId` comes from the homeserver's answer or the operator's table, never from the request. The `user_id`
 * of a request names the user asked about; an application service cannot take on another identity here.
 */

export interface Asker {
  readonly userId: string;
  readonly isGuest: boolean;
}

/** `userAgent` and `forwardedFor` are for the homeserver, which records where a session was last seen. */
export interface Credentials {
  readonly accessToken: string;
  readonly userAgent?: string | undefined;
  readonly forwardedFor?: string | undefined;
}

export interface Authenticator {
  /** @throws MatrixError as the client should see it: 401 and 403 are about its token, 429, 502 and 503 say when to try again */
  whoAsks(credentials: Credentials): Promise<Asker>;
  /** Lets calls under way end. May be called again. */
  close(): Promise<void>;
}
