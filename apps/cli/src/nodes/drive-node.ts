// The driver of one node among many, on this machine's time: lets consensus and the network between the nodes work when
// something came in or when it is time. This loop is all that moves a node on.
import { EnvironmentError, type LogPort, type Time } from "@atoll/types";

/** Something with work to do: gives the monotonic time at which to call `step` again at the latest. */
interface Stepped {
  step(): Time;
  onWork: (() => void) | undefined;
}

export interface NodeDrive {
  /** Nothing is stepped any more once this returns. */
  stop(): void;
}

const NS_PER_MS = 1_000_000n;
/** A disk that is full may have room again. */
const RETRY_MS = 1_000;
const LONGEST_MS = 60_000;

/** In order: what the first does may be work for the next. `after`: when all were stepped. */
export function driveNode(
  parts: readonly Stepped[],
  { now, log, after }: { readonly now: () => Time; readonly log: LogPort; readonly after: () => void },
): NodeDrive {
  let immediate: NodeJS.Immediate | undefined;
  let timer: NodeJS.Timeout | undefined;
  let isStopped = false;
  let trouble: string | undefined;

  // What arrives on the sockets in one turn of the event loop is worked on together.
  const soon = (): void => {
    if (isStopped) return;
    immediate ??= setImmediate(run);
  };

  const run = (): void => {
    immediate = undefined;
    clearTimeout(timer);
    let wait = LONGEST_MS;
    try {
      for (const part of parts) wait = Math.min(wait, Number((part.step() - now()) / NS_PER_MS));
      trouble = undefined;
    } catch (error) {
      if (!(error instanceof EnvironmentError)) throw error;
      if (error.message !== trouble) log.log("error", `${error.message} It is tried again every second.`);
      trouble = error.message;
      wait = RETRY_MS;
    }
    after();
    if (isStopped) return;
    if (wait <= 0) soon();
    else timer = setTimeout(run, wait + 1);
  };

  for (const part of parts) part.onWork = soon;
  soon();
  return {
    stop() {
      isStopped = true;
      for (const part of parts) part.onWork = undefined;
      clearImmediate(immediate);
      clearTimeout(timer);
    },
  };
}
