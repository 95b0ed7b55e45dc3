/**
 * One event persister, by SQL: it takes an id of the stream in a statement of its own, and commits the change under it later, with
 * one answer of PostgreSQL between them and what is visible. For measurements that need the moment of a commit.
 *
 * Cost: a connection; two round trips to PostgreSQL for a change.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, type ClientConfig } from 'pg';

export class StateWriter {
  readonly #client: Client;
  readonly #instance: string;

  static async open(place: ClientConfig, instance: string): Promise<StateWriter> {
    const client = new Client(place);
    client.on('error', () => {});
    await client.connect();
    return new StateWriter(client, instance);
  }

  private constructor(client: Client, instance: string) {
    this.#client = client;
    this.#instance = instance;
  }

  /** Resolves as soon as the commit is answered. @param heldMs between taking the id and the commit */
  async write(roomId: string, userId: string, isJoined: boolean, heldMs = 0): Promise<void> {
    const { rows } = await this.#client.query<{ id: string }>("SELECT nextval('events_stream_seq') AS id");
    if (heldMs > 0) await sleep(heldMs);
    const [{ id }] = rows;
    const texts = [roomId, userId, `$event${id}`, this.#instance];
    const [room, user, event, instance] = texts.map((text) => this.#client.escapeLiteral(text));
    await this.#client.query(`
      BEGIN;
      INSERT INTO events (stream_ordering, event_id, room_id, instance_name) VALUES (${id}, ${event}, ${room}, ${instance});
      INSERT INTO current_state_delta_stream (stream_id, room_id, type, state_key, event_id, instance_name)
      VALUES (${id}, ${room}, 'm.room.member', ${user}, ${event}, ${instance});
      DELETE FROM current_state_events WHERE room_id = ${room} AND type = 'm.room.member' AND state_key = ${user};
      INSERT INTO current_state_events (event_id, room_id, type, state_key, membership)
      VALUES (${event}, ${room}, 'm.room.member', ${user}, '${isJoined ? 'join' : 'leave'}');
      COMMIT`);
  }

  async close(): Promise<void> {
    await this.#client.end();
  }
}
