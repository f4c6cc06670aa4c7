// What a browser is told when a canister cannot serve a page: one table from error codes of the protocol to HTTP
// status and words. Interface specification, "Error codes"; status codes as the network's own gateways use them.
import type { CallOutcome } from "./canister-calls.ts";
import type { Problem } from "./pages.ts";

type Failure = Exclude<CallOutcome, { kind: "replied" }>;

export function problemOf(failure: Failure, canister: string): Problem {
  if (failure.kind === "failed") return transportProblem(failure.status, failure.text);
  const { errorCode, message, rejectCode } = failure;
  const cause = `${errorCode === "" ? `Reject code ${rejectCode}` : errorCode}: ${message}`;
  const known = KNOWN[errorCode];
  if (known !== undefined) return { ...known, detail: known.detail.replaceAll("CANISTER", canister), cause };
  if (rejectCode === 2) {
    return {
      status: 503,
      title: "The canister is busy",
      detail: "The network could not run the request now. Try again in a moment.",
      cause,
    };
  }
  if (rejectCode === 3) {
    return {
      status: 404,
      title: "Canister not found",
      detail: `There is no canister ${canister} that could serve this page.`,
      cause,
    };
  }
  if (rejectCode === 5) return { ...TRAPPED, cause };
  return { status: 502, title: "The canister refused", detail: "The canister rejected the request.", cause };
}

const TRAPPED: Problem = {
  status: 502,
  title: "The canister failed",
  detail: "The canister's code stopped with an error while it was serving this page.",
};
const STOPPED: Problem = {
  status: 503,
  title: "The canister is stopped",
  detail: "CANISTER does not run now. A controller can start it again.",
};
const OUT_OF_CYCLES: Problem = {
  status: 503,
  title: "The canister is out of cycles",
  detail: "CANISTER cannot pay for its work. Anyone can top it up with cycles.",
};

const KNOWN: Readonly<Record<string, Problem | undefined>> = {
  IC0207: OUT_OF_CYCLES,
  IC0301: {
    status: 404,
    title: "Canister not found",
    detail:
      "There is no canister CANISTER on this network. It may have been deleted, or the id belongs to another network.",
  },
  IC0405: { status: 404, title: "Canister not found", detail: "CANISTER is not on this network." },
  IC0508: STOPPED,
  IC0509: STOPPED,
  IC0536: {
    status: 404,
    title: "No web page here",
    detail: "CANISTER exists but has no http_request method, so it serves no web pages.",
  },
  IC0537: {
    status: 404,
    title: "The canister is empty",
    detail: "CANISTER exists but has no code installed, so it serves no web pages.",
  },
};

function transportProblem(status: number, text: string): Problem {
  switch (status) {
    case 400:
      // The request was made here and is well-formed: what a network refuses about it is the canister's id.
      return {
        status: 404,
        title: "Canister not found",
        detail: "No subnet of this network hosts canisters of that id.",
        cause: text,
      };
    case 413:
      return {
        status: 413,
        title: "Request too large",
        detail: "The request does not fit into one message to a canister.",
        cause: text,
      };
    case 429:
      return {
        status: 429,
        title: "Too many requests",
        detail: "The network is busy. Try again in a moment.",
        cause: text,
      };
    case 503:
      return {
        status: 503,
        title: "The network is not ready",
        detail: "It is starting or overloaded. Try again in a moment.",
        cause: text,
      };
    case 504:
      return {
        status: 504,
        title: "No answer in time",
        detail: "The canister may still be working on the request.",
        cause: text,
      };
    default:
      return {
        status: 502,
        title: "The network refused",
        detail: `The replica answered with status ${status}.`,
        cause: text,
      };
  }
}

/** An answer of a canister that is no HTTP answer. */
export function malformedAnswer(reason: string): Problem {
  return {
    status: 502,
    title: "The canister's answer is malformed",
    detail: `It cannot be sent to a browser: ${reason}.`,
  };
}
