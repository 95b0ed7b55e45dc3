/**
 * Goes with every request to the homeserver: one that comes back to us shows that `homeserver.url` leads here, by way of a reverse
 * proxy. Unseen, it would be asked again until every connection is taken.
 */
export const loopHeader = 'x-mutual-rooms-asks';

export const loopText =
  'homeserver.url leads back to mutual-rooms: give the address of the homeserver itself';
