/**
 * A header of every request to the homeserver. When a request with it comes in here, `homeserver.url` leads back to this server
 * (by way of a reverse proxy). Unnoticed, the two would ask each other until every connection is taken.
 */
export const loopHeader = 'x-mutual-rooms-asks';

export const loopText =
  'homeserver.url leads back to mutual-rooms: give the address of the homeserver itself';
