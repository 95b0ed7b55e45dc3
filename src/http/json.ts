/** JSON answers. As bytes, because fastify adds a charset to the media type of strings, and Matrix wants it bare. */
import type { FastifyReply } from 'fastify';

export function sendJson(reply: FastifyReply, value: unknown): FastifyReply {
  return sendJsonBytes(reply, Buffer.from(JSON.stringify(value)));
}

/** @param bytes JSON already */
export function sendJsonBytes(reply: FastifyReply, bytes: Buffer): FastifyReply {
  return reply.header('content-type', 'application/json').send(bytes);
}
