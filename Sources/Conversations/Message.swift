package import TelemetryModel

/// Who says a message. Frameworks spell some of them differently; `init(name:)` knows how.
package enum Role: Hashable, Sendable {
    case system
    case user
    case assistant
    case tool
    /// A role that nobody else has, as it came and not longer than `nameCharactersMax`.
    case other(String)

    private static let nameCharactersMax = 64

    package init(name: String) {
        switch name.lowercased() {
        case "system", "developer", "systemmessage", "systemmessagechunk": self = .system
        case "user", "human", "humanmessage", "humanmessagechunk": self = .user
        case "assistant", "ai", "model", "aimessage", "aimessagechunk", "chatbot": self = .assistant
        case "tool", "function", "toolmessage", "functionmessage", "tool-response": self = .tool
        default: self = .other(String(name.prefix(Self.nameCharactersMax)))
        }
    }

    package var name: String {
        switch self {
        case .system: "system"
        case .user: "user"
        case .assistant: "assistant"
        case .tool: "tool"
        case .other(let name): name
        }
    }
}

/// One message of a conversation with a model, whatever framework told of it.
package struct Message: Equatable, Sendable {
    package var role: Role
    /// Of the speaker, where several share a role.
    package var name: String?
    package var parts: [MessagePart]
    /// Why the model stopped, as its provider says it; only on answers.
    package var finishReason: String?

    package init(role: Role, name: String? = nil, parts: [MessagePart], finishReason: String? = nil) {
        self.role = role
        self.name = name
        self.parts = parts
        self.finishReason = finishReason
    }
}

/// What a message consists of, in order.
package enum MessagePart: Equatable, Sendable {
    case text(String)
    /// What the model thought before it answered.
    case reasoning(String)
    case toolCall(ToolCall)
    case toolResult(ToolResult)
    case media(Media)
    /// A part of a kind that nobody here knows, as it came: nothing of a message is left out.
    case data(JSONValue)
}

/// The model asks for a tool.
package struct ToolCall: Equatable, Sendable {
    package var id: String?
    package var name: String
    /// An object as a rule; a string when the model's text was no JSON. Numbers keep their digits.
    package var arguments: JSONValue?

    package init(id: String? = nil, name: String, arguments: JSONValue? = nil) {
        self.id = id
        self.name = name
        self.arguments = arguments
    }
}

/// What a tool gave back to the model.
package struct ToolResult: Equatable, Sendable {
    package var callID: String?
    package var name: String?
    package var content: [MessagePart]
    package var isError: Bool

    package init(callID: String? = nil, name: String? = nil, content: [MessagePart], isError: Bool = false) {
        self.callID = callID
        self.name = name
        self.content = content
        self.isError = isError
    }
}

/// An image, a sound, a film or a file.
package struct Media: Hashable, Sendable {
    package enum Kind: String, Sendable {
        case image, audio, video, file
    }

    package enum Source: Hashable, Sendable {
        /// Base64, as it came.
        case data(String)
        /// Where it lies; nobody here fetches it.
        case uri(String)
        /// The provider's name of an uploaded file.
        case file(String)
    }

    package var kind: Kind
    /// Such as `image/png`.
    package var mediaType: String?
    package var name: String?
    package var source: Source

    package init(kind: Kind, mediaType: String? = nil, name: String? = nil, source: Source) {
        self.kind = kind
        self.mediaType = mediaType
        self.name = name
        self.source = source
    }
}

/// A tool that the model was offered.
package struct ToolOffer: Equatable, Sendable {
    package var name: String
    package var description: String?
    /// JSON Schema of the arguments.
    package var parameters: JSONValue?

    package init(name: String, description: String? = nil, parameters: JSONValue? = nil) {
        self.name = name
        self.description = description
        self.parameters = parameters
    }
}

/// Why a turn failed.
package struct TurnError: Equatable, Sendable {
    /// Such as `RateLimitError`, `429` or `timeout`.
    package var type: String?
    package var message: String?

    package init(type: String? = nil, message: String? = nil) {
        self.type = type
        self.message = message
    }
}

/// What one span says of a call to a model.
package struct ModelCall: Equatable, Sendable {
    /// What the model was given, with the conversation so far.
    package var input: [Message] = []
    /// What it answered.
    package var output: [Message] = []
    package var tools: [ToolOffer] = []
    package var error: TurnError?
    /// Whether a limit of `ConversationLimits` left something out.
    package var isCut = false

    package init() {}

    package var hasMessages: Bool { !input.isEmpty || !output.isEmpty }
}

/// Bounds of what is read; past one, the rest is left out and `isCut` says so.
package enum ConversationLimits {
    /// Messages of one call.
    package static let messagesMax = 2000
    /// Parts of one message.
    package static let partsMax = 500
    /// Tools offered to one call.
    package static let toolsMax = 512
    /// Objects that lie in one another around a message.
    package static let depthMax = 16
    /// Bytes of a span's attributes, and of its events.
    package static let attributeBytesMax = 32 << 20
    /// Log records of one span.
    package static let recordsMax = 1000
    /// Messages of a conversation.
    package static let itemsMax = 5000
}
