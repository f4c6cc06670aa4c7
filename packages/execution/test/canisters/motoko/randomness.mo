/// Randomness of the network: raw_rand of the management canister, directly and through the core library.
import Random "mo:core/Random";

persistent actor {
  transient let management = actor "aaaaa-aa" : actor { raw_rand : shared () -> async Blob };

  public func raw() : async Blob { await management.raw_rand() };

  public func twice() : async (Blob, Blob) { (await management.raw_rand(), await management.raw_rand()) };

  public func dice(n : Nat) : async Nat { await* Random.crypto().natRange(1, n + 1) };
}
