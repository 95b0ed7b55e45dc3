/**
 * Collects the questions of one event-loop turn and sends them to their shards together: one task a shard and turn, not
 * one a request. A piscina task alone takes ten times as long as one among many.
 *
 * Questions to a shard in another thread leave when the turn ends, at most `questionsPerTaskMax` in a task; while `tasksInFlightMax`
 * are under way, further ones wait and travel together next. An inline shard answers when the turn ends, too: the
 * answers of a turn then leave together, which is worth 30 % of the requests a second (`npm run bench -- http`).
 * Beyond `questionsWaitingMax` waiting questions, a shard refuses more (OVERLOADED).
 */
import { AssertionError, assert } from '../base/assert.js';
import { PublicError } from '../base/errors.js';
import { costPerTaskMax, costWaitingMax, questionsPerTaskMax, questionsWaitingMax } from './bounds.js';
import type { Shard } from '../shard/shard.js';
import { questionCost, type Answers } from '../shard/wire.js';

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
  /** Of all that wait. */
  #costWaiting = 0;
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
    const cost = questionCost(question);
    if (this.#waiting.length >= questionsWaitingMax || this.#costWaiting + cost > costWaitingMax) {
      receiver.fail(
        new PublicError('OVERLOADED', 'too many questions wait for an answer; ask again later', {
          retryAfterSeconds: 1,
        }),
      );
      return;
    }
    this.#waiting.push({ question, receiver, slot });
    this.#costWaiting += cost;
    this.#schedule();
  }

  #schedule(): void {
    if (!this.#flushScheduled) {
      this.#flushScheduled = true;
      setImmediate(() => {
        this.#flushScheduled = false;
        if (this.#shard.askNow === undefined) this.#flush();
        else this.#answerNow();
      });
    }
  }

  /** The next questions, as many as one task may hold: at least one. */
  #takeBatch(): Waiting[] {
    let count = 0;
    let cost = 0;
    while (count < this.#waiting.length && count < questionsPerTaskMax) {
      const next = questionCost(this.#waiting[count].question);
      if (count > 0 && cost + next > costPerTaskMax) break;
      cost += next;
      count += 1;
    }
    this.#costWaiting -= cost;
    return this.#waiting.splice(0, count);
  }

  #answerNow(): void {
    const batch = this.#takeBatch();
    this.#observer?.sent(this.#index, batch.length);
    for (const { question, receiver, slot } of batch) {
      try {
        assert(this.#shard.askNow !== undefined, 'the shard is on this thread');
        receiver.answer(slot, this.#shard.askNow(question), 1);
      } catch (error) {
        receiver.fail(error);
      }
    }
    if (this.#waiting.length > 0) this.#schedule();
  }

  #flush(): void {
    while (this.#waiting.length > 0 && this.#tasksInFlight < tasksInFlightMax)
      void this.#send(this.#takeBatch());
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
  // Measured whole before anyone is answered: a batch that does not add up answers nobody.
  let end = 0;
  for (let index = 0; index < batch.length && end < answers.numbers.length; index += 1)
    end += 1 + answers.numbers[end];
  if (end !== answers.numbers.length) {
    const fault = new AssertionError('a batch has as many answers as questions');
    for (const { receiver } of batch) receiver.fail(fault);
    return;
  }
  let at = 0;
  for (const { receiver, slot } of batch) {
    receiver.answer(slot, answers, at + 1);
    at += 1 + answers.numbers[at];
  }
}
