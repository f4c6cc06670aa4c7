// The same counter in steps of two, with hooks.
import { debugPrint } = "mo:⛔";

actor {
  stable var count = 0;
  system func postupgrade() { debugPrint("upgraded at " # debug_show count) };
  public func inc() : async () { count += 2 };
  public query func get() : async Nat { count };
};
