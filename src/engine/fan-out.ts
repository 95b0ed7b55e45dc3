/**
 * Collects the questions of one event-loop turn and sends them to their shards together: one task a shard and turn, not
 * one a request. A piscina task alone takes ten times as long as one among many.
 *
 * Questions to a shard in another thread leave when the turn ends, at most `questionsPerTaskMax` in a task; while `tasksInFlightMax`
 * are under way, further ones wait and travel together next. An inline shard answers when the turn ends, too: the
 * answers of a turn then leave together, which is worth 30 % of the requests a second (`npm run bench -- http`).
 * Beyond `questionsWaitingMax` waiting questions, a shard refuses more (OVERLOADED).
 */
import { assert } from '../base/assert.js';
import { PublicError } from '../base/errors.js';
import { questionsPerTaskMax, questionsWaitingMax } from '../base/limits.js';
import type { Shard } from '../shard/shard.js';
import type { Answers } from '../shard/wire.js';

const tasksInFlightMax = 2;

/** Who asked. One of the two is called, once. */
export interface Receiver {
  /**
   * @param slot what the receiver gave with the question
   * @param at where this answer begins in the batch's numbers, after its length word
   */
  answer(slot: number, answers: Answers, at: number): void;
  fail(error: unknown): void;
}

interface Waiting {
  readonly question: Uint32Array;
  readonly receiver: Receiver;
  readonly slot: number;
}

/** Watches the fan-out, for metrics. */
export interface FanOutObserver {
  /** A task left with `questions` questions. */
  sent(shard: number, questions: number): void;
}

export class FanOut {
  readonly #shard: Shard;
  readonly #index: number;
  readonly #observer: FanOutObserver | undefined;
  #waiting: Waiting[] = [];
  #tasksInFlight = 0;
  #flushScheduled = false;

  constructor(shard: Shard, index: number, observer: FanOutObserver | undefined) {
    this.#shard = shard;
    this.#index = index;
    this.#observer = observer;
  }

  /** How many questions wait to be sent. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** @param slot is given back with the answer, so that a receiver that asks many shards knows which one spoke */
  ask(question: Uint32Array, receiver: Receiver, slot: number): void {
    if (this.#waiting.length >= questionsWaitingMax) {
      receiver.fail(
        new PublicError(
          'OVERLOADED',
          `${questionsWaitingMax} questions wait for shard ${this.#index}; ask again later`,
          {
            retryAfterSeconds: 1,
          },
        ),
      );
      return;
    }
    this.#waiting.push({ question, receiver, slot });
    if (!this.#flushScheduled) {
      this.#flushScheduled = true;
      setImmediate(() => {
        this.#flushScheduled = false;
        if (this.#shard.askNow === undefined) this.#flush();
        else this.#answerNow();
      });
    }
  }

  #answerNow(): void {
    const batch = this.#waiting;
    this.#waiting = [];
    this.#observer?.sent(this.#index, batch.length);
    for (const { question, receiver, slot } of batch) {
      try {
        assert(this.#shard.askNow !== undefined, 'the shard is on this thread');
        receiver.answer(slot, this.#shard.askNow(question), 1);
      } catch (error) {
        receiver.fail(error);
      }
    }
  }

  #flush(): void {
    while (this.#waiting.length > 0 && this.#tasksInFlight < tasksInFlightMax) {
      let batch = this.#waiting;
      if (batch.length > questionsPerTaskMax) {
        batch = this.#waiting.slice(0, questionsPerTaskMax);
        this.#waiting = this.#waiting.slice(questionsPerTaskMax);
      } else {
        this.#waiting = [];
      }
      void this.#send(batch);
    }
  }

  async #send(batch: readonly Waiting[]): Promise<void> {
    this.#tasksInFlight += 1;
    this.#observer?.sent(this.#index, batch.length);
    let answers: Answers | undefined;
    let failure: unknown;
    try {
      answers = await this.#shard.ask(join(batch));
    } catch (error) {
      failure = error;
    }
    this.#tasksInFlight -= 1;
    this.#flush();
    if (answers === undefined) for (const { receiver } of batch) receiver.fail(failure);
    else deliver(batch, answers);
  }
}

function join(batch: readonly Waiting[]): Uint32Array {
  if (batch.length === 1) return batch[0].question;
  let length = 0;
  for (const { question } of batch) length += question.length;
  const questions = new Uint32Array(length);
  let at = 0;
  for (const { question } of batch) {
    questions.set(question, at);
    at += question.length;
  }
  return questions;
}

function deliver(batch: readonly Waiting[], answers: Answers): void {
  let at = 0;
  for (const { receiver, slot } of batch) {
    receiver.answer(slot, answers, at + 1);
    at += 1 + answers.numbers[at];
  }
  assert(at === answers.numbers.length, 'a batch has as many answers as questions');
}
