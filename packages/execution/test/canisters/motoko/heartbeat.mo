/// A heartbeat in every round. It can be told to trap or to make a call.
import Runtime "mo:core/Runtime";

persistent actor {
  var beats : Nat = 0;
  var answered : Nat = 0;
  var mode : { #count; #trap; #call } = #count;

  system func heartbeat() : async () {
    beats += 1;
    switch mode {
      case (#count) {};
      case (#trap) Runtime.trap("trapped in the heartbeat");
      case (#call) { await nothing(); answered += 1 }
    }
  };

  public func nothing() : async () {};

  public func setMode(to : { #count; #trap; #call }) : async () { mode := to };

  public query func get() : async { beats : Nat; answered : Nat } { { beats; answered } };
}
