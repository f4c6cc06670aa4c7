// Is this request from who it says, and may it still be served? The one place where users' requests are
// authenticated (interface specification, "Authentication"). The order of the checks and their texts are the
// replica's; the answer to a request that fails is status 400 with the text.
import {
  ANONYMOUS,
  type CallerInfo,
  type CanisterId,
  MAX_INGRESS_TTL_NS,
  MAX_NONCE_BYTES,
  MAX_READ_STATE_LABELS,
  MAX_READ_STATE_PATHS,
  PERMITTED_DRIFT_NS,
  type PrincipalId,
  principalToText,
  type Time,
  toHex,
} from "@atoll/types";
import { type CanisterSignatureCheck, verifyCanisterSignature } from "./canister-signature.ts";
import { verifyDelegations } from "./delegation.ts";
import type { Authentication, CallContent, Envelope, ReadStateContent } from "./envelope.ts";
import { parsePublicKey } from "./public-key.ts";
import { requestIdOfContent, requestMessage, senderInfoMessage } from "./request-content.ts";
import { selfAuthenticatingId } from "./subnet-key.ts";
import { formatTime } from "./time-text.ts";
import { verifyUserSignature } from "./user-signature.ts";

export interface AuthenticationOptions extends CanisterSignatureCheck {
  readonly now: Time;
  /** Requests without delegations whose signature was found good before. */
  readonly verified?: { has(request: Envelope<CallContent | ReadStateContent>): boolean };
}

export interface AuthenticatedRequest {
  readonly ok: true;
  readonly sender: PrincipalId;
  /** 32 bytes. */
  readonly requestId: Uint8Array;
  /** Canisters that the delegations allow; undefined: all. For read_state this is still to be applied. */
  readonly targets: ReadonlySet<CanisterId> | undefined;
  /** Verified attributes of the sender. */
  readonly callerInfo?: CallerInfo;
}

export type AuthenticationResult = AuthenticatedRequest | { readonly ok: false; readonly error: string };

/** Authenticates a parsed request at time `now`. */
export function authenticate(
  envelope: Envelope<CallContent | ReadStateContent>,
  options: AuthenticationOptions,
): AuthenticationResult {
  const { content, authentication } = envelope;
  const early = checkBeforeSignature(content, options.now);
  if (early !== undefined) return failure(early);
  const requestId = requestIdOfContent(content, options.crypto.sha256);
  const signed = checkSignature(envelope, requestId, options);
  if (!signed.ok) return signed;
  const info = checkSenderInfo(content, authentication, options);
  if (info !== undefined) return failure(`Invalid sender info: ${info}`);
  const { targets } = signed;
  if (content.requestType !== "read_state" && targets !== undefined && !targets.has(content.canisterId)) {
    return failure(`Canister '${principalToText(content.canisterId)}' is not one of the delegation targets.`);
  }
  const { sender } = content;
  const { senderInfo } = content as CallContent;
  return {
    ok: true,
    sender,
    requestId,
    targets,
    ...(senderInfo && { callerInfo: { data: senderInfo.info, signer: senderInfo.signer } }),
  };
}

function failure(error: string): { readonly ok: false; readonly error: string } {
  return { ok: false, error };
}

/** Why a request is refused whoever signed it. */
export function checkBeforeSignature(content: CallContent | ReadStateContent, now: Time): string | undefined {
  return checkPaths(content) ?? checkExpiry(content, now) ?? checkNonce(content);
}

function checkPaths(content: CallContent | ReadStateContent): string | undefined {
  if (content.requestType !== "read_state") return undefined;
  const { paths } = content;
  if (paths.length > MAX_READ_STATE_PATHS) {
    const count = `got ${paths.length} paths, but at most ${MAX_READ_STATE_PATHS} are allowed.`;
    return `Too many paths in read state request: ${count}`;
  }
  const long = paths.find((path) => path.length > MAX_READ_STATE_LABELS);
  if (long === undefined) return undefined;
  const count = `got ${long.length} labels, but at most ${MAX_READ_STATE_LABELS} are allowed.`;
  return `At least one path in read state request is too deep: ${count}`;
}

function checkExpiry(content: CallContent | ReadStateContent, now: Time): string | undefined {
  // Nobody can gain from repeating what an anonymous reader asks.
  if (content.requestType !== "call" && content.sender === ANONYMOUS) return undefined;
  const latest = now + MAX_INGRESS_TTL_NS + PERMITTED_DRIFT_NS;
  const expiry = content.ingressExpiry;
  if (now <= expiry && expiry <= latest) return undefined;
  // The agent looks for the words up to the colon to find out that its clock is wrong.
  return (
    "Invalid request expiry: Specified ingress_expiry not within expected range: " +
    `Minimum allowed expiry: ${formatTime(now)}, Maximum allowed expiry: ${formatTime(latest)}, ` +
    `Provided expiry:        ${formatTime(expiry)}`
  );
}

function checkNonce(content: CallContent | ReadStateContent): string | undefined {
  const length = content.nonce?.length ?? 0;
  if (length <= MAX_NONCE_BYTES) return undefined;
  return `Nonce in request is too big: got ${length} bytes, but at most ${MAX_NONCE_BYTES} are allowed.`;
}

function checkSignature(
  envelope: Envelope<CallContent | ReadStateContent>,
  requestId: Uint8Array,
  options: AuthenticationOptions,
): { ok: true; targets: ReadonlySet<CanisterId> | undefined } | { ok: false; error: string } {
  const { content, authentication } = envelope;
  const { sender, requestType } = content;
  if (authentication === undefined) {
    if (sender === ANONYMOUS) return { ok: true, targets: undefined };
    return failure(`Missing signature from user: ${principalToText(sender)}`);
  }
  if (sender === ANONYMOUS) return failure("Signature is not allowed for the anonymous user.");
  const { publicKey, signature, delegations } = authentication;
  if (sender !== selfAuthenticatingId(publicKey, options.crypto.sha224)) {
    const user = principalToText(sender);
    return failure(`The user id '${user}' does not match the public key '${toHex(publicKey)}'`);
  }
  if (options.verified?.has(envelope) === true) return { ok: true, targets: undefined };
  const chain = verifyDelegations(publicKey, delegations, requestType, options.now, options);
  if (!chain.ok) return chain;
  const error = verifyUserSignature("request", chain.publicKey, requestMessage(requestId), signature, options);
  return error === undefined ? { ok: true, targets: chain.targets } : failure(`Invalid signature: ${error}`);
}

function checkSenderInfo(
  content: CallContent | ReadStateContent,
  authentication: Authentication | undefined,
  options: AuthenticationOptions,
): string | undefined {
  if (content.requestType === "read_state" || content.senderInfo === undefined) return undefined;
  const { info, signer, sig } = content.senderInfo;
  if (authentication === undefined) return "sender_info requires an authenticated request with sender_pubkey";
  const parsed = parsePublicKey(authentication.publicKey);
  if (!parsed.ok) return `sender_pubkey is not a valid canister signature public key: ${parsed.error}`;
  if (parsed.key.kind !== "canister") return "sender_pubkey is not a valid canister signature public key";
  if (parsed.key.canisterId !== signer) {
    const canister = principalToText(parsed.key.canisterId);
    return `signer ${principalToText(signer)} does not match canister ID ${canister} in sender_pubkey`;
  }
  const error = verifyCanisterSignature(parsed.key, senderInfoMessage(info), sig, options);
  return error && `signature verification failed: ${error}`;
}
