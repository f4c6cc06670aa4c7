/// The smallest canister with everything a message can do to a variable: change it, read it, trap after a change,
/// trap in a callback. A trap takes back what its own message execution changed, never what an earlier one committed.
import Runtime "mo:core/Runtime";

persistent actor Counter {
  var count : Nat = 0;

  public func inc() : async Nat {
    count += 1;
    count
  };

  public func add(n : Nat) : async Nat {
    count += n;
    count
  };

  public query func get() : async Nat { count };

  /// Changes the variable in a query: the answer shows it, the state never does.
  public query func incInQuery() : async Nat {
    count += 1;
    count
  };

  public func trapAfterChange() : async () {
    count += 100;
    Runtime.trap("trapped after the change");
  };

  public func reset() : async () { count := 0 };

  /// The part before the await is committed (+1), the part after it is not (+1000).
  public func trapInCallback() : async () {
    count += 1;
    await nothing();
    count += 1000;
    Runtime.trap("trapped in the callback");
  };

  public func nothing() : async () {};

  public func oneway() : () { count += 1 };

  public shared ({ caller }) func whoami() : async Principal { caller };
}
