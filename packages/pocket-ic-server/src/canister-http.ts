// HTTPS outcalls of an instance as a test sees them: what waits for an answer, and the answers that the test gives, one
// for all nodes or one for each. Interface specification, "IC method http_request"; contract of PocketIC's REST interface.
import type { Network } from "@atoll/pocket-ic";
import { type OutcallAnswer, type OutcallRequest, type PrincipalId, principalToText, RejectCode } from "@atoll/types";
import { done, type Outcome, Refusal } from "./answers.ts";
import type { Json } from "./json.ts";
import * as shape from "./shapes.ts";
import { base64, bytesToBase64 } from "./topology.ts";

const header = shape.record({ name: shape.text, value: shape.text });
const reply = shape.record({
  status: shape.integer(0xffffn),
  headers: shape.list(header),
  body: shape.bytes,
});
const reject = shape.record({ reject_code: shape.u64, message: shape.text });
const answer = shape.variant<OutcallAnswer>({
  CanisterHttpReply: (value, at) => ({ kind: "reply", reply: reply(value, at) }),
  CanisterHttpReject(value, at) {
    const { reject_code, message } = reject(value, at);
    const code = Object.values(RejectCode).find((each) => BigInt(each) === reject_code);
    if (code === undefined) throw new Refusal(400, `InvalidRejectCode(${reject_code})`);
    return { kind: "reject", code, message };
  },
});

export const mockArguments = shape.record({
  subnet_id: shape.record({ subnet_id: shape.principal }),
  request_id: shape.u64,
  response: answer,
  additional_responses: shape.list(answer),
});

export async function pendingOutcalls({ subnets }: Network): Promise<Outcome> {
  return done(
    [...subnets.values()].flatMap(({ id, replica }) => replica.outcalls.pending().map((each) => describe(id, each))),
  );
}

function describe(subnet: PrincipalId, request: OutcallRequest): Json {
  return {
    subnet_id: { subnet_id: base64(subnet) },
    request_id: request.outcall,
    http_method: request.method.toUpperCase(),
    url: request.url,
    headers: request.headers.map(({ name, value }) => ({ name, value })),
    body: bytesToBase64(request.body ?? new Uint8Array()),
    max_response_bytes: request.maxResponseBytes ?? null,
  };
}

/** The answer of the first node stands for those that none is given for. */
export async function answerOutcall(network: Network, input: ReturnType<typeof mockArguments>): Promise<Outcome> {
  const { subnet_id } = input.subnet_id;
  const subnet = network.subnets.get(subnet_id);
  if (subnet === undefined) throw new Refusal(400, `SubnetNotFound(${principalToText(subnet_id)})`);
  const answers = [...input.additional_responses, input.response];
  const outcome = await subnet.replica.outcalls.answer(Number(input.request_id), answers);
  switch (outcome.kind) {
    case "agreed":
      return done();
    case "unknown":
      throw new Refusal(400, `InvalidCanisterHttpRequestId((${principalToText(subnet_id)}, ${input.request_id}))`);
    case "wrong-count":
      throw new Refusal(400, `InvalidMockCanisterHttpResponses((${answers.length}, ${outcome.nodes}))`);
  }
}
