// What went wrong, in words for a visitor: the agent's own messages are for developers and carry a stack.

import { AgentError, HttpFetchErrorCode, TrustError } from "@icp-sdk/core/agent";

export function problemText(error: unknown): string {
  if (error instanceof TrustError) return "An answer could not be verified, so it is not shown.";
  if (!(error instanceof AgentError)) return error instanceof Error ? error.message : String(error);
  const { code } = error.cause;
  if (code instanceof HttpFetchErrorCode) return "The network does not answer. This page keeps trying.";
  if ("rejectMessage" in code) return `The canister refused: ${code.rejectMessage}`;
  return error.message.split("\n", 1)[0] ?? "";
}
