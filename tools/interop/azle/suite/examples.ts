// Which of Azle's examples run, and which of their tests differ for a reason that is no defect of ours.

export const EXAMPLES: readonly string[] = [
  "async_await",
  "audio_recorder",
  "blob_array",
  "bytes",
  "call_errors",
  "call_raw",
  "candid_keywords",
  "canister",
  "canister_backtraces",
  "cleanup_callback",
  "complex_init",
  "complex_types",
  "composite_queries",
  "counter",
  "cross_canister_calls",
  "cycles",
  "date",
  "event_loop",
  "func_types",
  "heartbeat",
  "hidden_methods",
  "ic_api",
  "imports",
  "init",
  "inspect_message",
  "key_value_store",
  "list_of_lists",
  "management_canister",
  "manual_reply",
  "multiple_canister_classes",
  "notify_raw",
  "null_example",
  "optional_types",
  "pre_and_post_upgrade",
  "primitive_types",
  "principal",
  "query",
  "randomness",
  "recursion",
  "rejections",
  "simple_erc20",
  "simple_user_accounts",
  "stable_b_tree_map_instruction_threshold",
  "stable_structures",
  "timers",
  "tuple_types",
  "update",
];

/** "example: what the test's name has in it" to the reason. */
const KNOWN: Readonly<Record<string, string>> = {
  "call_errors: reject code 3":
    "it wants an id that no subnet has; the one subnet here has every id, so the canister is not found instead",
  "cleanup_callback: setTimerWithTrap": "it looks at once whether timers ran, and counts on the seconds that dfx takes",
  "ic_api: install didc": "it builds a tool with cargo out of a repository",
  "ic_api: msgArgData": "it needs that tool",
  "management_canister: canister_status from the management canister":
    "it counts 160 bytes for an entry of the history, as replicas did before; they count 192 now",
};

export function knownDifference(example: string, test: string): string | undefined {
  const key = Object.keys(KNOWN).find((each) => {
    const [name = "", part = ""] = each.split(": ");
    return name === example && test.includes(part);
  });
  return key === undefined ? undefined : KNOWN[key];
}
