/// Counts, and has another counter count, wherever that one is.
import Principal "mo:core/Principal";

persistent actor {
  var count : Nat = 0;

  public func increment() : async Nat {
    count += 1;
    count;
  };

  public query func get() : async Nat { count };

  /// What the other counter has counted to after this call.
  public func incrementOther(other : Principal) : async Nat {
    let there = actor (other.toText()) : actor { increment : () -> async Nat };
    await there.increment();
  };
};
