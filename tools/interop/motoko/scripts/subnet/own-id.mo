// Who am I?
import { debugPrint; principalOfActor } = "mo:⛔";

actor Self {
  public func show() : async () { debugPrint(debug_show (principalOfActor Self)) };
};
