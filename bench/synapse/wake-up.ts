/** What a Synapse tells its workers through Redis after a commit, where there is no Synapse: that some state was changed. */
import { createClient } from '@redis/client';
import { serverName } from './served-feed.js';

function clientOf(port: number, password: string) {
  return createClient({ socket: { host: '127.0.0.1', port, tls: false }, password });
}

export class WakeUp {
  readonly #client: ReturnType<typeof clientOf>;

  static async open({ port, password }: { port: number; password: string }): Promise<WakeUp> {
    const client = clientOf(port, password);
    client.on('error', () => {});
    await client.connect();
    return new WakeUp(client);
  }

  private constructor(client: ReturnType<typeof clientOf>) {
    this.#client = client;
  }

  async changed(roomId: string): Promise<void> {
    const row = JSON.stringify(['state', [roomId, 'm.room.member', '@somebody:bench.example', '$event']]);
    await this.#client.publish(serverName, `RDATA events load 1 ${row}`);
  }

  close(): void {
    this.#client.destroy();
  }
}
