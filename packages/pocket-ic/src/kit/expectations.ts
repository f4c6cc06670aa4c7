// Expectations of calls: plain functions that throw what every test runner shows as a failed assertion, with the tree of
// messages below it, so that a failure says what happened in the network and not only what came out.
import type { Cycles } from "@atoll/types";
import type { CallFigures, CallReport } from "./call-report.ts";
import { grouped } from "./candid-text.ts";
import { CanisterReject } from "./canister-reject.ts";
import { checkOptions, type FieldsOf } from "./given-options.ts";
import { isSame, shown } from "./same-values.ts";
import { callBehind, SubmittedCall } from "./submitted-call.ts";

/** What is left out matches everything. */
export interface ExpectedReject {
  /** `CANISTER_ERROR` ... */
  readonly code?: CanisterReject["code"];
  /** `IC0503` ... */
  readonly errorCode?: string;
  /** `CanisterCalledTrap` ... */
  readonly errorName?: CanisterReject["errorName"];
  /** Part of the reject message, or what it matches. */
  readonly message?: string | RegExp;
}

/** At most. */
export interface Budget {
  readonly instructions?: number;
  readonly cycles?: Cycles;
  readonly messages?: number;
  /** By name, or by the text of the id. */
  readonly byCanister?: Readonly<Record<string, Partial<CallFigures>>>;
}

const REJECT_FIELDS: FieldsOf<ExpectedReject> = { code: true, errorCode: true, errorName: true, message: true };
const BUDGET_FIELDS: FieldsOf<Budget> = { instructions: true, cycles: true, messages: true, byCanister: true };
const FIGURES: FieldsOf<Partial<CallFigures>> = { instructions: true, cycles: true };

/** A call, the promise of one, or what an actor's method gives. */
export type Expected<Result> = SubmittedCall<Result> | Promise<SubmittedCall<Result> | Result>;

/** As `node:assert` throws it: test runners show `actual` and `expected`. */
export class ExpectationError extends Error {
  override readonly name = "AssertionError";
  readonly code = "ERR_ASSERTION";
  readonly generatedMessage = false;
  /** Test runners know what this one means: they show `actual` and `expected` one against the other. */
  readonly operator = "deepStrictEqual";
  readonly actual: unknown;
  readonly expected: unknown;

  constructor(message: string, actual: unknown, expected: unknown) {
    super(message);
    this.actual = actual;
    this.expected = expected;
  }
}

/** The reject, when the call is rejected as expected. Throws ExpectationError with the tree when it is not. */
export async function expectReject(call: Expected<unknown>, expected: ExpectedReject = {}): Promise<CanisterReject> {
  const outcome = await outcomeOf(call);
  checkOptions("expectReject", expected, REJECT_FIELDS);
  const { code, errorCode, errorName, message } = expected;
  if (!(outcome.error instanceof CanisterReject)) {
    if (outcome.error !== undefined) throw outcome.error;
    fail(`The call was to be rejected, but it answered ${shown(outcome.value)}.`, outcome, expected);
  }
  const { error } = outcome;
  const differs =
    (code !== undefined && error.code !== code) ||
    (errorCode !== undefined && error.errorCode !== errorCode) ||
    (errorName !== undefined && error.errorName !== errorName) ||
    (message !== undefined && !matches(error.rejectMessage, message));
  if (!differs) return error;
  const actual = {
    code: error.code,
    errorCode: error.errorCode,
    errorName: error.errorName,
    message: error.rejectMessage,
  };
  const sentence = `The call was rejected, but not as expected: ${error.errorCode}: ${error.rejectMessage}`;
  throw new ExpectationError(withTree(sentence, outcome.tree), actual, expected);
}

/** The value of the reply, when it is the one expected. Throws ExpectationError with the tree when it is not. */
export async function expectReply<Result>(call: Expected<Result>, expected: Result): Promise<Result> {
  const outcome = await outcomeOf(call);
  if (outcome.error !== undefined) {
    if (!(outcome.error instanceof CanisterReject)) throw outcome.error;
    const { error } = outcome;
    const sentence = `The call was to reply ${shown(expected)}, but it was rejected: ${error.message}`;
    throw new ExpectationError(sentence, error, expected);
  }
  if (isSame(outcome.value, expected)) return outcome.value as Result;
  const sentence = `The call was to reply ${shown(expected)}, but it replied ${shown(outcome.value)}.`;
  return fail(sentence, outcome, expected);
}

/** The report of a call that stayed within its budget. Rejects as `answer` when it failed. Needs a traced network. */
export async function expectBudget(call: Expected<unknown>, budget: Budget): Promise<CallReport> {
  const submitted = (await callBehind(call)) ?? (await call);
  if (!(submitted instanceof SubmittedCall))
    throw new TypeError("only calls have a budget: queries cost their canister nothing");
  // An actor's call runs its rounds itself: in the midst of one it may be answered before the round's trace is known.
  await Promise.allSettled([call]);
  await submitted.reply();
  checkOptions("expectBudget", budget, BUDGET_FIELDS);
  for (const own of Object.values(budget.byCanister ?? {})) checkOptions("the budget of a canister", own, FIGURES);
  const report = submitted.report();
  const over = [
    ...exceeded("", report, budget),
    ...Object.entries(budget.byCanister ?? {}).flatMap(([name, own]) =>
      exceeded(` of ${name}`, report.byCanister[name] ?? { instructions: 0, cycles: 0n }, own),
    ),
  ];
  if (over.length === 0) return report;
  const sentence = `The call is over its budget: ${over.join("; ")}.`;
  throw new ExpectationError(withTree(sentence, submitted.tree()), report, budget);
}

function exceeded(whose: string, actual: Partial<CallReport>, budget: Budget): string[] {
  return (["instructions", "cycles", "messages"] as const).flatMap((what) => {
    const [is, most] = [actual[what] ?? 0, budget[what]];
    return most === undefined || is <= most
      ? []
      : [`${grouped(is)} ${what}${whose}, at most ${grouped(most)} expected`];
  });
}

interface Outcome {
  readonly value?: unknown;
  readonly error?: unknown;
  readonly tree: string;
}

async function outcomeOf(call: Expected<unknown>): Promise<Outcome> {
  let submitted: SubmittedCall<unknown> | undefined;
  try {
    const behind = await callBehind(call);
    const given = await call;
    submitted = given instanceof SubmittedCall ? given : behind;
    return { value: given instanceof SubmittedCall ? await given.answer() : given, tree: submitted?.tree() ?? "" };
  } catch (error) {
    return { error, tree: error instanceof CanisterReject ? error.tree : (submitted?.tree() ?? "") };
  }
}

function fail(sentence: string, { value, tree }: Outcome, expected: unknown): never {
  throw new ExpectationError(withTree(sentence, tree), value, expected);
}

function withTree(sentence: string, tree: string): string {
  return tree === "" ? sentence : `${sentence}\n\n${tree}`;
}

function matches(text: string, expected: string | RegExp): boolean {
  return typeof expected === "string" ? text.includes(expected) : expected.test(text);
}
