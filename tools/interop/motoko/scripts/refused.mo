// A call that inspect_message does not let in is the last one of its script.
import { debugPrint } = "mo:⛔";

actor {
  system func inspect({ msg : { #open : () -> (); #closed : () -> () } }) : Bool {
    switch msg { case (#open _) true; case (#closed _) false }
  };
  public func open() : async () { debugPrint "open" };
  public func closed() : async () { debugPrint "closed" };
};

//CALL ingress open "DIDL\x00\x00"
//CALL ingress closed "DIDL\x00\x00"
//CALL ingress open "DIDL\x00\x00"
