// A file that gives hosts to canisters, one `host:canister-id` a line, for a gateway. Tools write it anew while the
// gateway runs, so it is looked at again, but not with every request.
import fs from "node:fs";
import { type CanisterId, principalFromText } from "@atoll/types";

const AGAIN_AFTER_MS = 1_000;
const MAX_BYTES = 1024 * 1024;

/** A lookup by host, in lower case and without a port. A file that is not there (yet) gives no hosts. */
export function hostsOfFile(path: string): (host: string) => CanisterId | undefined {
  let hosts: ReadonlyMap<string, CanisterId> = new Map();
  let version = "";
  let readAt = Number.NEGATIVE_INFINITY;
  return (host) => {
    if (performance.now() - readAt > AGAIN_AFTER_MS) {
      readAt = performance.now();
      const now = versionOf(path);
      if (now !== version) hosts = now === "" ? new Map() : parse(textOf(path));
      version = now;
    }
    return hosts.get(host);
  };
}

/** Differs when the file was written anew; empty when there is none that could be read. */
function versionOf(path: string): string {
  try {
    const { ino, mtimeMs, size } = fs.statSync(path);
    return size <= MAX_BYTES ? `${ino} ${mtimeMs} ${size}` : "";
  } catch {
    return "";
  }
}

function textOf(path: string): string {
  try {
    return fs.readFileSync(path, "utf8");
  } catch {
    // It went since it was looked at.
    return "";
  }
}

function parse(text: string): ReadonlyMap<string, CanisterId> {
  return new Map(
    text.split(/\r?\n/).flatMap((line): [string, CanisterId][] => {
      const [, host, text] = /^\s*([^\s:]+):([a-z0-9-]+)\s*$/.exec(line) ?? [];
      const id = principalFromText(text ?? "");
      return host === undefined || id === undefined || id === "" ? [] : [[host.toLowerCase(), id]];
    }),
  );
}
