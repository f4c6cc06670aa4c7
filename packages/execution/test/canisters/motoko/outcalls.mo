/// HTTPS outcalls: with and without a transform function, and functions that fail.
import Blob "mo:core/Blob";
import Error "mo:core/Error";
import Nat "mo:core/Nat";
import Array "mo:core/Array";
import Runtime "mo:core/Runtime";
import Principal "mo:core/Principal";
import Text "mo:core/Text";

persistent actor Outcalls {
  type Header = { name : Text; value : Text };
  type Response = { status : Nat; headers : [Header]; body : Blob };
  type TransformArgs = { response : Response; context : Blob };
  type Transform = { function : shared query TransformArgs -> async Response; context : Blob };
  type Request = {
    url : Text;
    max_response_bytes : ?Nat64;
    method : { #get; #head; #post };
    headers : [Header];
    body : ?Blob;
    transform : ?Transform;
    is_replicated : ?Bool
  };

  transient let management : actor { http_request : Request -> async Response } = actor "aaaaa-aa";
  var transforms : Nat = 0;
  var latest : Text = "";

  public query ({ caller }) func clean({ response; context } : TransformArgs) : async Response {
    transforms += 1;
    assert Principal.toText(caller) == "aaaaa-aa";
    { response with headers = []; body = context }
  };

  public query func slow(_ : TransformArgs) : async Response {
    loop { transforms += 1 }
  };

  public query func broken(_ : TransformArgs) : async Response { Runtime.trap("cannot transform") };

  public query func refusing(_ : TransformArgs) : async Response { throw Error.reject("I refuse") };

  public composite query func composed({ response } : TransformArgs) : async Response { response };

  public query func many({ response } : TransformArgs) : async Response {
    { response with body = Blob.fromArray(Array.repeat<Nat8>(7, 3_000)) }
  };

  public func fetch(url : Text, transform : Text, maxBytes : ?Nat64) : async Text {
    let function = switch transform {
      case "clean" ?clean;
      case "slow" ?slow;
      case "broken" ?broken;
      case "many" ?many;
      case _ null
    };
    let chosen = switch function {
      case (?function) ?{ function; context = Text.encodeUtf8("context") };
      case null null
    };
    let { status; headers; body } = await (with cycles = 100_000_000_000) management.http_request({
      url;
      max_response_bytes = maxBytes;
      method = #get;
      headers = [{ name = "accept"; value = "text/plain" }];
      body = null;
      transform = chosen;
      is_replicated = null
    });
    let text = switch (Text.decodeUtf8(body)) { case (?text) text; case null "no text" };
    latest := Nat.toText(status) # " " # Nat.toText(headers.size()) # " headers: " # text;
    latest
  };

  public query func latestAnswer() : async Text { latest }
}
