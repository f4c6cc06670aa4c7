/// Ingress message inspection: by method, by caller, by size of the argument, and one that traps.
import Principal "mo:core/Principal";
import Runtime "mo:core/Runtime";

persistent actor {
  var calls : Nat = 0;

  public func open() : async Nat { calls += 1; calls };
  public func closed() : async Nat { calls += 1; calls };
  public func signed() : async Nat { calls += 1; calls };
  public func small(text : Text) : async Nat { calls += 1; text.size() };
  public func trapping() : async () {};
  public query func get() : async Nat { calls };

  system func inspect({
    caller : Principal;
    arg : Blob;
    msg : {
      #open : () -> ();
      #closed : () -> ();
      #signed : () -> ();
      #small : () -> Text;
      #trapping : () -> ();
      #get : () -> ()
    }
  }) : Bool {
    // Tried on a change: nothing that inspection does is kept.
    calls += 1000;
    switch msg {
      case (#open _) true;
      case (#closed _) false;
      case (#signed _) not Principal.isAnonymous(caller);
      case (#small _) arg.size() <= 100;
      case (#trapping _) Runtime.trap("trapped in inspect");
      case (#get _) true
    }
  };
}
