// The timers of this process, as the HTTP interface and the gateway want them. Drivers own all timers: what they drive asks
// for one and can take it back.
import type { TimerPort } from "@atoll/types/http";

export const nodeTimer: TimerPort = {
  after(milliseconds, callback) {
    const handle = setTimeout(callback, milliseconds);
    return () => clearTimeout(handle);
  },
};
