// Hosts on one machine: network namespaces, each with a cable (a pair of virtual interfaces) to a switch (a bridge) in the
// namespace of the test. Cables can be pulled, plugged in again and made slow. Needs root and the kernel's namespaces.
import { execFileSync } from "node:child_process";

export interface Host {
  readonly address: string;
  /** Before a command line: runs it on that host. */
  readonly command: readonly string[];
  /** Nothing gets through until `plugIn`. */
  pullOut(): void;
  plugIn(): void;
  /** What the host sends goes out at that rate at most. */
  slowDown(megabitsPerSecond: number): void;
  fullSpeed(): void;
}

export interface Hosts {
  readonly hosts: readonly Host[];
  remove(): void;
}

/** Undefined: hosts can be made here. Else why not. */
export function whyNoHosts(): string | undefined {
  if (process.platform !== "linux") return "network namespaces are Linux's own";
  if (process.geteuid?.() !== 0) return "network namespaces take root";
  const name = `atoll-try-${process.pid}`;
  try {
    ip("netns", "add", name);
  } catch (error) {
    return `network namespaces cannot be made here (${(error as Error).message.split("\n")[0]})`;
  }
  try {
    ip("link", "add", bridgeName(), "type", "bridge");
    ip("link", "del", bridgeName());
    return undefined;
  } catch (error) {
    return `bridges cannot be made here (${(error as Error).message.split("\n")[0]})`;
  } finally {
    ip("netns", "del", name);
  }
}

/** In 10.x.y.0/24, by the number of this process. */
export function makeHosts(count: number): Hosts {
  const [high, low] = [process.pid % 200, Math.floor(process.pid / 200) % 250];
  const network = `10.${high + 20}.${low}`;
  const bridge = bridgeName();
  const names = Array.from({ length: count }, (_, i) => `atoll-${process.pid}-${i + 1}`);
  const cables = names.map((_, i) => `at${process.pid % 100_000}v${i + 1}`);
  const remove = (): void => {
    for (const name of names) attempt(() => ip("netns", "del", name));
    attempt(() => ip("link", "del", bridge));
  };
  try {
    ip("link", "add", bridge, "type", "bridge");
    ip("addr", "add", `${network}.254/24`, "dev", bridge);
    ip("link", "set", bridge, "up");
    for (const [i, name] of names.entries()) addHost(name, cables[i] ?? "", bridge, `${network}.${i + 1}`);
  } catch (error) {
    remove();
    throw error;
  }
  const hosts = names.map((name, i) => host(name, cables[i] ?? "", `${network}.${i + 1}`));
  return { hosts, remove };
}

const INSIDE = "eth0";

function addHost(name: string, cable: string, bridge: string, address: string): void {
  ip("netns", "add", name);
  ip("link", "add", cable, "type", "veth", "peer", "name", INSIDE, "netns", name);
  ip("link", "set", cable, "master", bridge, "up");
  ip("-n", name, "addr", "add", `${address}/24`, "dev", INSIDE);
  ip("-n", name, "link", "set", INSIDE, "up");
  ip("-n", name, "link", "set", "lo", "up");
}

function host(name: string, cable: string, address: string): Host {
  const tc = (...args: readonly string[]) => run("ip", ["netns", "exec", name, "tc", ...args]);
  return {
    address,
    command: ["ip", "netns", "exec", name],
    pullOut: () => ip("link", "set", cable, "down"),
    plugIn: () => ip("link", "set", cable, "up"),
    slowDown(rate) {
      const limits = ["rate", `${rate}mbit`, "burst", "32kbit", "latency", "400ms"];
      tc("qdisc", "replace", "dev", INSIDE, "root", "tbf", ...limits);
    },
    fullSpeed: () => attempt(() => tc("qdisc", "del", "dev", INSIDE, "root")),
  };
}

function bridgeName(): string {
  return `at${process.pid % 100_000}br`;
}

function ip(...args: readonly string[]): void {
  run("ip", args);
}

function run(program: string, args: readonly string[]): void {
  execFileSync(program, args, { stdio: ["ignore", "ignore", "pipe"] });
}

function attempt(action: () => void): void {
  try {
    action();
  } catch {}
}
