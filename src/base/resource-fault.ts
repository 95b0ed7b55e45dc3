/**
 * What the system says when a process has come to one of its limits, as a sentence that says which one to raise. Such errors
 * come up anywhere, and name whatever was under way: a file of a library, a buffer, a thread.
 */
import { messageOf } from './errors.js';

/** By errno, under its name (Node) or its number (LMDB). */
const openFiles = new Set<unknown>(['EMFILE', 24]);
const openFilesOfAll = new Set<unknown>(['ENFILE', 23]);
const memory = new Set<unknown>(['ENOMEM', 12, 'ERR_WORKER_OUT_OF_MEMORY', 'ERR_MEMORY_ALLOCATION_FAILED']);

/** V8's own errors have no code: of buffers, of WebAssembly (of which each engine wants 10 GB of address space), of the heap. */
const memoryTexts = /allocation failed|cannot allocate|out of memory/i;

/** @returns what to do about it, or undefined when it is something else */
export function resourceFaultOf(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | undefined)?.code;
  const said = messageOf(error).split('\n')[0];
  if (openFiles.has(code))
    return `this process may not open more files (${said}): raise its limit (ulimit -n) to 1024 or more`;
  if (openFilesOfAll.has(code))
    return `the system has too many open files (${said}): raise fs.file-max, or end what has them open`;
  if (memory.has(code) || memoryTexts.test(said))
    return `there is too little memory or address space (${said}): give the process more (ulimit -v, the container's limit)`;
  return undefined;
}
