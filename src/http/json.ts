/**
 * JSON answers, and the headers that every answer carries.
 *
 * Fastify adds a charset to the media type of JSON strings, and Matrix wants it bare; so answers are sent as bytes. The endpoint for
 * mutual rooms writes straight to node's response, header and body in one write: without that it answers a quarter fewer requests
 * a second (`npm run bench -- http`).
 */
import type { FastifyReply } from 'fastify';

/**
 * On all answers. Of Client-Server API, "Web Browser Clients"; browsers read Retry-After only when it is exposed. And what
 * Synapse says: an answer is of one person and one moment, so no cache may keep it.
 */
export const everyAnswer = {
  'access-control-allow-origin': '*',
  'access-control-allow-methods': 'GET, POST, PUT, DELETE, OPTIONS',
  'access-control-allow-headers': 'X-Requested-With, Content-Type, Authorization',
  'access-control-expose-headers': 'Retry-After',
  'cache-control': 'no-cache, no-store, must-revalidate',
};

/** As a flat list, which node writes out as it is. */
const answerHeaders = Object.entries({ ...everyAnswer, 'content-type': 'application/json' }).flat();

export function sendJson(reply: FastifyReply, value: unknown): FastifyReply {
  return reply.header('content-type', 'application/json').send(Buffer.from(JSON.stringify(value)));
}

/**
 * Sends a 200 past fastify's serialisation; hooks that watch the response still run.
 * @param latin1 JSON already: one character for each byte of its UTF-8
 * @throws PublicError OVERLOADED when too many large answers are on their way
 */
export function sendJsonBytes(reply: FastifyReply, latin1: string): FastifyReply {
  reply.server.admission.takeAnswer(reply.raw, latin1.length);
  reply.hijack();
  reply.raw.writeHead(200, [...answerHeaders, 'content-length', String(latin1.length)]);
  reply.raw.end(latin1, 'latin1');
  return reply;
}
