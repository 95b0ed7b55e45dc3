/**
 * An error that ends a command with one clear line and an exit code; `report` writes down whatever was thrown.
 */
import { PublicError, messageOf } from '../base/errors.js';
import { resourceFaultOf } from '../base/resource-fault.js';
import { ConfigError } from '../config/config-error.js';
import { nativeModuleFault } from './native-module.js';

export const exitCodes = { ok: 0, failed: 1, usage: 2 } as const;

export class CommandError extends Error {
  override name = 'CommandError';
  readonly exitCode: number;
  /** Whether it stands in the log already. */
  readonly isTold: boolean;

  constructor(message: string, options: { exitCode?: number; cause?: unknown; isTold?: boolean } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.exitCode = options.exitCode ?? exitCodes.failed;
    this.isTold = options.isTold ?? false;
  }
}

/** @returns the exit code that the error stands for */
export function report(error: unknown, write: (text: string) => void, withStack: boolean): number {
  if (!(error instanceof CommandError && error.isTold))
    for (const line of textOf(error).split('\n')) write(`mutual-rooms: ${line}\n`);
  if (withStack && error instanceof Error) {
    for (let each: unknown = error; each instanceof Error; each = each.cause)
      write(`${each.stack ?? each.message}\n`);
  }
  return exitCodeOf(error);
}

export function exitCodeOf(error: unknown): number {
  if (error instanceof ConfigError) return exitCodes.usage;
  return error instanceof CommandError ? error.exitCode : exitCodes.failed;
}

/** What nobody caught is a fault of ours, unless the process has come to a limit: then it comes up anywhere. @returns the exit code */
export function reportUncaught(error: unknown, write: (text: string) => void): number {
  return report(error, write, resourceFaultOf(error) === undefined);
}

/** Errors of ours say what to do. The system names whatever was under way when it had come to a limit. */
function textOf(error: unknown): string {
  const isOurs =
    error instanceof CommandError || error instanceof ConfigError || error instanceof PublicError;
  return nativeModuleFault(error) ?? (isOurs ? undefined : resourceFaultOf(error)) ?? messageOf(error);
}

/** What the system says when an address cannot be listened on, as a sentence with a way out. */
export function listenFault(error: unknown): CommandError | undefined {
  const { code, address, port, syscall } = error as NodeJS.ErrnoException & {
    address?: string;
    port?: number;
  };
  if (syscall !== 'listen' && syscall !== 'getaddrinfo' && syscall !== 'bind') return undefined;
  const where = `cannot listen on ${address ?? 'the configured host'}:${port ?? ''}`.replace(/:$/, '');
  const whys: Record<string, string> = {
    EADDRINUSE: 'the port is in use; stop what listens there, or choose another port (0 is any free one)',
    EACCES: 'this user may not; choose a port from 1024 on',
    EADDRNOTAVAIL: 'this machine has no such address; correct the host',
    ENOTFOUND: 'the host name is unknown; correct the host',
    EAI_AGAIN: 'the host name cannot be looked up; correct the host, or give an address',
  };
  return new CommandError(`${where}: ${whys[code ?? ''] ?? messageOf(error)}`, { cause: error });
}
