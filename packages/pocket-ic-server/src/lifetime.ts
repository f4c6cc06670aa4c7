// When a server ends by itself: a client that has died, or a test runner that never stops its servers, must leave none
// behind. The time to live counts from the end of the last request while none is pending; the hard one from the start.
export interface Lifetime {
  /** Counts a request; call what it gives when the request is over. */
  begin(): () => void;
  stop(): void;
}

export interface LifetimeOptions {
  readonly ttlSeconds: number;
  readonly hardTtlSeconds?: number;
  readonly onTtl: () => void;
  readonly onHardTtl: () => void;
}

const CHECK_MS = 1_000;

export function startLifetime({ ttlSeconds, hardTtlSeconds, onTtl, onHardTtl }: LifetimeOptions): Lifetime {
  const start = performance.now();
  let pending = 0;
  let lastMs = start;
  const check = (): void => {
    const now = performance.now();
    if (hardTtlSeconds !== undefined && now - start > hardTtlSeconds * 1_000) onHardTtl();
    else if (pending === 0 && now - lastMs > ttlSeconds * 1_000) onTtl();
  };
  const timer = setInterval(check, CHECK_MS);
  return {
    begin() {
      pending++;
      let isOver = false;
      return () => {
        if (isOver) return;
        isOver = true;
        pending--;
        lastMs = performance.now();
      };
    },
    stop: () => clearInterval(timer),
  };
}
