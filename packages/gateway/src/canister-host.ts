// Which canister a web address belongs to: `<canister id>.<suffix>`, or `?canisterId=<id>` on any other host. Hosts
// come from whoever connects; a name that is nobody's must be told apart from the gateway's own address.
// HTTP gateway specification, "Canister id resolution".
import { type CanisterId, principalFromText } from "@atoll/types";
import type { HttpRequest } from "@atoll/types/http";

export interface HostNames {
  /** Domains whose subdomains are canisters: "localhost". */
  readonly suffixes: readonly string[];
  /** Names for canisters beside their ids. */
  readonly resolveName?: (name: string) => CanisterId | undefined;
  /** Whole hosts that belong to a canister, whatever their suffix; asked with each request. */
  readonly resolveHost?: (host: string) => CanisterId | undefined;
}

export type Destination =
  | { readonly kind: "canister"; readonly canisterId: CanisterId }
  | { readonly kind: "own" }
  /** A subdomain or parameter that names no canister. */
  | { readonly kind: "unknown"; readonly name: string };

export function destinationOf(request: HttpRequest, names: HostNames): Destination {
  const host = hostName(request.headers.get("host") ?? "");
  const canisterId = names.resolveHost?.(host);
  if (canisterId !== undefined) return { kind: "canister", canisterId };
  const label = subdomain(host, names.suffixes);
  if (label !== undefined) return named(label, names);
  const query = request.target.indexOf("?");
  const parameter = query < 0 ? null : new URLSearchParams(request.target.slice(query + 1)).get("canisterId");
  return parameter === null ? { kind: "own" } : named(parameter, names);
}

/** Host without port, in lower case, without the dot at the end of an absolute name. */
function hostName(host: string): string {
  const end = host.startsWith("[") ? host.indexOf("]") + 1 : host.indexOf(":");
  const name = (end > 0 ? host.slice(0, end) : host).toLowerCase();
  return name.endsWith(".") ? name.slice(0, -1) : name;
}

/** The label before the suffix; `raw` in between asks for unverified content, which all content here is. */
function subdomain(host: string, suffixes: readonly string[]): string | undefined {
  for (const suffix of suffixes) {
    if (!host.endsWith(`.${suffix}`)) continue;
    const labels = host.slice(0, -suffix.length - 1).split(".");
    return labels.length > 1 && labels.at(-1) === "raw" ? labels.at(-2) : labels.at(-1);
  }
  return undefined;
}

/** `something--<canister id>` is the canister too: it gives one canister many origins. */
function named(name: string, names: HostNames): Destination {
  const resolved = names.resolveName?.(name);
  const canisterId = resolved ?? canisterIdIn(name) ?? canisterIdIn(name.slice(name.lastIndexOf("--") + 2));
  if (canisterId === undefined) return { kind: "unknown", name: name.slice(0, 100) };
  return { kind: "canister", canisterId };
}

function canisterIdIn(text: string): CanisterId | undefined {
  const id = principalFromText(text);
  return id === undefined || id === "" ? undefined : id;
}
