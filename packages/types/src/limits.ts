// Protocol constants, verbatim: sizes in bytes, times in ns, counts in pieces, instructions as metered.
// Sources: interface specification 0.66 and the replica of May 2026; where they differ the comment says so.

const KiB = 1024;
const MiB = 1024 * KiB;
const GiB = 1024 * MiB;
const MINUTE_NS = 60_000_000_000n;

// Requests over HTTP.
export const MAX_HTTP_BODY_BYTES = 5 * MiB;
export const MAX_INGRESS_BYTES_APPLICATION = 2 * MiB;
export const MAX_INGRESS_BYTES_SYSTEM = 3.5 * MiB;
export const MAX_INGRESS_TTL_NS = 5n * MINUTE_NS;
export const PERMITTED_DRIFT_NS = MINUTE_NS / 2n;
export const MAX_NONCE_BYTES = 32;
export const MAX_DELEGATIONS = 20;
export const MAX_DELEGATION_TARGETS = 1000;
export const MAX_READ_STATE_PATHS = 1000;
export const MAX_READ_STATE_LABELS = 127;
export const SYNC_CALL_TIMEOUT_NS = 10_000_000_000n;

/** Answers to ingress messages kept for their callers; the oldest ones go first. The replica keeps 4 GiB. */
export const MAX_INGRESS_ANSWER_BYTES = GiB;

// Messages between canisters.
export const MAX_INTER_CANISTER_PAYLOAD_BYTES = 2 * MiB;
export const MAX_LOCAL_PAYLOAD_BYTES = 10 * MiB;
export const MAX_QUERY_REPLY_BYTES = 3 * MiB;
export const MAX_METHOD_NAME_BYTES = 20_000;
export const MAX_REJECT_MESSAGE_BYTES = 8 * KiB;
export const DEFAULT_QUEUE_CAPACITY = 500;
export const REQUEST_LIFETIME_NS = 300_000_000_000n;
export const MAX_CALL_TIMEOUT_SECONDS = 300;
export const STOP_CANISTER_TIMEOUT_NS = 5n * MINUTE_NS;

// Streams between subnets.
/** A stream takes more messages up to this count, or until it has so many bytes; the rest waits. */
export const MAX_STREAM_MESSAGES = 10_000;
export const TARGET_STREAM_BYTES = 10 * MiB;
/** Messages of which the sender does not know yet that they arrived: no more are taken in. */
export const MAX_STREAM_SIGNALS = 10_000;
/** Messages from another subnet that a system subnet lets into its own stream's way, and twice that into it. */
export const SYSTEM_SUBNET_STREAM_MESSAGES = 100;
export const MAX_CERTIFIED_SLICE_BYTES = 4 * MiB;
/** A block takes no further slices once it has so many bytes of them. */
export const TARGET_SLICE_BYTES_PER_BLOCK = 10 * MiB;

// Memory.
export const WASM_PAGE_BYTES = 64 * KiB;
export const OS_PAGE_BYTES = 4 * KiB;
export const MAX_WASM32_PAGES = 65_536;
export const MAX_WASM64_PAGES = 98_304;
export const MAX_HEAP32_BYTES = 4 * GiB;
export const MAX_HEAP64_BYTES = 6 * GiB;
export const MAX_STABLE_MEMORY_BYTES = 500 * GiB;
export const SUBNET_MEMORY_CAPACITY = 2048 * GiB;
export const DEFAULT_WASM_MEMORY_LIMIT = 3_221_225_472n;
/** Stable pages (4 KiB) that one execution may touch. */
export const STABLE_PAGES_UPDATE = (2 * GiB) / OS_PAGE_BYTES;
export const STABLE_PAGES_INSTALL = (8 * GiB) / OS_PAGE_BYTES;
export const STABLE_PAGES_QUERY = GiB / OS_PAGE_BYTES;

// Instructions.
export const MAX_INSTRUCTIONS_PER_UPDATE = 40_000_000_000;
export const MAX_INSTRUCTIONS_PER_QUERY = 5_000_000_000;
export const MAX_INSTRUCTIONS_PER_INSTALL = 300_000_000_000;
export const MAX_INSTRUCTIONS_PER_INSPECT = 200_000_000;
export const MAX_INSTRUCTIONS_PER_ROUND = 4_000_000_000;
/** The same on system subnets, as far as they differ. */
export const MAX_SYSTEM_INSTRUCTIONS = {
  update: 50_000_000_000,
  query: 50_000_000_000,
  install: 1_000_000_000_000,
  round: 7_000_000_000,
};
/**
 * What one execution takes of a round; more goes on in the next one. The replica's slices are as large as the limit
 * below; smaller ones (0.05 to 0.5 s) keep the rounds short for everybody else.
 */
export const INSTRUCTIONS_PER_SLICE = 500_000_000;
/** What a single operation (a large copy, a system call) may take: the replica's slice. */
export const MAX_INSTRUCTIONS_PER_OPERATION = 2_000_000_000;
/** Executions between two slices at a time: each holds a heap and a stack. The replica keeps 40. */
export const MAX_PAUSED_EXECUTIONS = 8;
/** Of their canisters together, unless it is only one. */
export const MAX_PAUSED_HEAP_BYTES = 4 * GiB;
export const MAX_COMPOSITE_QUERY_DEPTH = 6;
export const INSTRUCTIONS_PER_COMPOSITE_CALL = 50_000_000;

// Canisters.
export const MAX_CONTROLLERS = 10;
export const MAX_CERTIFIED_DATA_BYTES = 32;
export const MAX_WASM_MODULE_BYTES = 100 * MiB;
export const WASM_CHUNK_BYTES = MiB;
export const MAX_WASM_CHUNKS = 100;
export const MAX_SNAPSHOTS = 10;
/** Of a snapshot, in one answer. */
export const MAX_SNAPSHOT_SLICE_BYTES = 2_000_000;
export const MAX_SNAPSHOT_GLOBALS = 1_000;
export const MAX_CANISTERS = 120_000;
export const MAX_HISTORY_ENTRIES = 20;
export const MAX_GUARANTEED_CALLBACKS = 50;
export const DEFAULT_FREEZING_THRESHOLD_SECONDS = 2_592_000n;
export const DEFAULT_RESERVED_CYCLES_LIMIT = 5_000_000_000_000n;
export const DEFAULT_PROVISIONAL_CYCLES = 100_000_000_000_000n;
export const MAX_ENVIRONMENT_VARIABLES = 20;
export const MAX_ENVIRONMENT_VARIABLE_BYTES = 128;
export const DEFAULT_LOG_BYTES = 4 * KiB;
export const MAX_LOG_TEXT_BYTES = 32 * KiB;

// HTTP outcalls.
export const MAX_OUTCALL_URL_BYTES = 8192;
export const MAX_OUTCALL_RESPONSE_BYTES = 2_000_000;
export const MAX_OUTCALL_REQUEST_BYTES = 2_000_000;
export const MAX_OUTCALL_HEADERS = 64;
export const MAX_OUTCALL_HEADER_TEXT_BYTES = 8 * KiB;
export const MAX_OUTCALL_HEADERS_BYTES = 48 * KiB;
export const MAX_OUTCALLS_IN_FLIGHT = 3000;
/** Of all requests in flight together. Ours: the replica has no such limit, and each of them is held in memory. */
export const MAX_OUTCALLS_IN_FLIGHT_BYTES = GiB / 2;
/** An outcall that was not answered for longer than this is rejected. */
export const OUTCALL_TIMEOUT_NS = MINUTE_NS;
export const MAX_OUTCALL_RESPONSES_PER_BLOCK = 500;
export const MAX_OUTCALL_RESPONSE_BYTES_PER_BLOCK = 2 * MiB;

// Threshold keys and Bitcoin.
export const MAX_DERIVATION_PATH = 255;
export const MAX_BITCOIN_CONFIRMATIONS = 144;

/** What the status endpoint and subnet_info call this software. */
export const REPLICA_VERSION = "0.1.0";
