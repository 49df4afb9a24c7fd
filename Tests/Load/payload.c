#include "payload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

/* Bytes that grow. A message inside a message is written to a buffer of its own first, since its length stands before it. */
struct buffer {
    uint8_t *bytes;
    size_t count, capacity;
};

static void append(struct buffer *buffer, const void *bytes, size_t count) {
    if (buffer->count + count > buffer->capacity) {
        buffer->capacity = 2 * (buffer->count + count) + 256;
        buffer->bytes = realloc(buffer->bytes, buffer->capacity);
        if (!buffer->bytes) {
            fputs("load: out of memory\n", stderr);
            exit(1);
        }
    }
    memcpy(buffer->bytes + buffer->count, bytes, count);
    buffer->count += count;
}

static void append_varint(struct buffer *buffer, uint64_t value) {
    uint8_t digits[10];
    size_t count = 0;
    while (value >= 0x80) {
        digits[count++] = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    digits[count++] = (uint8_t)value;
    append(buffer, digits, count);
}

enum { wire_varint = 0, wire_fixed64 = 1, wire_length = 2 };

static void append_number(struct buffer *buffer, int field, uint64_t value) {
    append_varint(buffer, (uint64_t)field << 3 | wire_varint);
    append_varint(buffer, value);
}

/* Gives the offset of the value's first byte. */
static size_t append_bytes(struct buffer *buffer, int field, const void *bytes, size_t count) {
    append_varint(buffer, (uint64_t)field << 3 | wire_length);
    append_varint(buffer, count);
    append(buffer, bytes, count);
    return buffer->count - count;
}

static void append_text(struct buffer *buffer, int field, const char *text) { append_bytes(buffer, field, text, strlen(text)); }

static size_t append_time(struct buffer *buffer, int field) {
    uint64_t zero = 0;
    append_varint(buffer, (uint64_t)field << 3 | wire_fixed64);
    append(buffer, &zero, sizeof zero);
    return buffer->count - sizeof zero;
}

/* Appends a message and empties its buffer for the next. */
static size_t append_message(struct buffer *buffer, int field, struct buffer *message) {
    size_t start = append_bytes(buffer, field, message->bytes, message->count);
    message->count = 0;
    return start;
}

/* Attributes: field `field` of `into` is a KeyValue with an AnyValue in it. */
static struct buffer pair, value;

static void attribute(struct buffer *into, int field, const char *key) {
    append_text(&pair, 1, key);
    append_message(&pair, 2, &value);
    append_message(into, field, &pair);
}

static void attribute_text(struct buffer *into, int field, const char *key, const char *text) {
    append_text(&value, 1, text);
    attribute(into, field, key);
}

static void attribute_integer(struct buffer *into, int field, const char *key, uint64_t integer) {
    append_number(&value, 3, integer);
    attribute(into, field, key);
}

static void attribute_bool(struct buffer *into, int field, const char *key, int truth) {
    append_number(&value, 2, truth ? 1 : 0);
    attribute(into, field, key);
}

uint64_t chance_next(struct chance *chance) {
    uint64_t mixed = chance->state += 0x9E3779B97F4A7C15u;
    mixed = (mixed ^ mixed >> 30) * 0xBF58476D1CE4E5B9u;
    mixed = (mixed ^ mixed >> 27) * 0x94D049BB133111EBu;
    return mixed ^ mixed >> 31;
}

static uint64_t below(struct chance *chance, uint64_t bound) { return chance_next(chance) % bound; }

#define PICK(chance, list) (list[below(chance, sizeof list / sizeof *list)])

static const char *const workflows[] = {"triage_inbox", "answer_ticket", "summarise_week", "review_patch", "refresh_index"};
static const char *const tools[] = {"web_search", "fetch_page", "run_sql", "run_python", "send_mail", "crm_lookup", "read_pdf"};
static const char *const models[] = {"llama-3.3-70b", "qwen-3-32b", "gpt-5-mini", "claude-haiku"};
static const char *const steps[] = {"plan", "gather", "rank", "act", "check", "write"};
static const char *const states[] = {"closed", "closed", "closed", "closed", "closed", "half_open", "open"};

static const uint64_t millisecond = 1000 * 1000;

enum kind { kind_root, kind_tool, kind_model, kind_retrieval };

static void append_tool(struct buffer *span, struct chance *chance) {
    char text[160];
    const char *tool = PICK(chance, tools);
    attribute_text(span, 9, "gen_ai.operation.name", "execute_tool");
    attribute_text(span, 9, "gen_ai.tool.name", tool);
    attribute_text(span, 9, "tool_name", tool);
    attribute_text(span, 9, "breaker_state", PICK(chance, states));
    snprintf(text, sizeof text, "https://api.example.com/%s/%llu", tool, (unsigned long long)below(chance, 1000000));
    attribute_text(span, 9, "url.full", text);
    if (below(chance, 20) != 0) {
        attribute_integer(span, 9, "http.response.status_code", 200);
        return;
    }
    static struct buffer event, status;
    attribute_text(span, 9, "error.type", "TimeoutError");
    append_time(&event, 1);
    append_text(&event, 2, "exception");
    attribute_text(&event, 3, "exception.type", "TimeoutError");
    attribute_text(&event, 3, "exception.message", "no answer within 10 s");
    append_message(span, 11, &event);
    append_text(&status, 2, "no answer within 10 s");
    append_number(&status, 3, 2);
    append_message(span, 15, &status);
}

size_t payload_prompt_bytes = 0;

/* A conversation so far, as text that compresses like one. */
static void append_prompt(struct buffer *span, struct chance *chance) {
    static const char *const words[] = {"the ", "invoice ", "of ", "last ", "month ", "was ", "not ", "paid ", "please ", "look ", "into ", "it ", "and ", "answer ", "briefly. "};
    if (payload_prompt_bytes == 0) return;
    char *text = malloc(payload_prompt_bytes + 16);
    if (!text) exit(1);
    size_t count = 0;
    while (count < payload_prompt_bytes) count += (size_t)sprintf(text + count, "%s", PICK(chance, words));
    attribute_text(span, 9, "gen_ai.input.messages", text);
    free(text);
}

static void append_model(struct buffer *span, struct chance *chance) {
    uint64_t input = 100 + below(chance, 8000), output = 10 + below(chance, 800);
    attribute_text(span, 9, "gen_ai.operation.name", "chat");
    attribute_text(span, 9, "gen_ai.provider.name", "openai");
    attribute_text(span, 9, "gen_ai.request.model", PICK(chance, models));
    attribute_integer(span, 9, "gen_ai.usage.input_tokens", input);
    attribute_integer(span, 9, "gen_ai.usage.output_tokens", output);
    attribute_integer(span, 9, "tokens", input + output);
    append_prompt(span, chance);
}

struct run {
    uint32_t root;
    const char *workflow;
    char session[24];
};

static void append_span(
    struct buffer *scope_spans, struct payload *payload, size_t number, struct run *run, struct chance *chance
) {
    static struct buffer span;
    static const uint8_t zeros[16];
    struct span_place *place = &payload->places[number];
    int is_root = number % spans_per_trace == 0;
    enum kind kind = is_root ? kind_root : (enum kind)(1 + below(chance, 3));
    if (is_root) {
        run->root = (uint32_t)number;
        run->workflow = PICK(chance, workflows);
        snprintf(run->session, sizeof run->session, "session-%llu", (unsigned long long)below(chance, 100000));
    }
    place->parent = is_root ? 0 : run->root + (uint32_t)below(chance, number - run->root);
    place->offset_nanoseconds = is_root ? 0 : below(chance, 4000) * millisecond;
    place->duration_nanoseconds = is_root ? 8000 * millisecond : (1 + below(chance, 3000)) * millisecond;

    place->trace_id = (uint32_t)append_bytes(&span, 1, zeros, 16);
    place->span_id = (uint32_t)append_bytes(&span, 2, zeros, 8);
    place->parent_id = is_root ? 0 : (uint32_t)append_bytes(&span, 4, zeros, 8);
    append_text(&span, 5, kind == kind_root ? run->workflow : kind == kind_tool ? "execute_tool" : kind == kind_model ? "chat" : "retrieve");
    append_number(&span, 6, is_root ? 1 : 3);
    place->start = (uint32_t)append_time(&span, 7);
    place->end = (uint32_t)append_time(&span, 8);
    attribute_text(&span, 9, "workflow_name", run->workflow);
    attribute_text(&span, 9, "session.id", run->session);
    attribute_text(&span, 9, "step_id", PICK(chance, steps));
    attribute_integer(&span, 9, "queue_depth", below(chance, 16));
    attribute_bool(&span, 9, "cache_hit", below(chance, 4) == 0);
    if (kind == kind_tool) append_tool(&span, chance);
    if (kind == kind_model) append_model(&span, chance);
    if (kind == kind_retrieval) {
        attribute_integer(&span, 9, "retrieval_batch", 8u << below(chance, 4));
        attribute_text(&span, 9, "db.system.name", "qdrant");
    }
    size_t base = append_message(scope_spans, 2, &span);
    place->trace_id += (uint32_t)base;
    place->span_id += (uint32_t)base;
    place->start += (uint32_t)base;
    place->end += (uint32_t)base;
    if (!is_root) place->parent_id += (uint32_t)base;
}

struct payload payload_make(struct chance *chance, size_t span_count) {
    struct payload payload = {.span_count = span_count};
    payload.places = calloc(span_count, sizeof *payload.places);
    payload.span_ids = calloc(span_count, sizeof *payload.span_ids);
    if (!payload.places || !payload.span_ids) exit(1);

    struct buffer resource = {0}, scope = {0}, scope_spans = {0}, resource_spans = {0}, request = {0};
    char text[32];
    snprintf(text, sizeof text, "agent-%llu", (unsigned long long)below(chance, 4));
    attribute_text(&resource, 1, "service.name", text);
    attribute_text(&resource, 1, "service.version", "4.1.0");
    attribute_text(&resource, 1, "telemetry.sdk.language", "python");
    attribute_text(&resource, 1, "telemetry.sdk.name", "opentelemetry");
    append_text(&scope, 1, "agent");
    append_text(&scope, 2, "1.0.0");
    append_message(&scope_spans, 1, &scope);
    struct run run = {0};
    for (size_t number = 0; number < span_count; number++) append_span(&scope_spans, &payload, number, &run, chance);
    append_message(&resource_spans, 1, &resource);
    size_t base = append_message(&resource_spans, 2, &scope_spans);
    base += append_message(&request, 1, &resource_spans);
    for (size_t number = 0; number < span_count; number++) {
        struct span_place *place = &payload.places[number];
        place->trace_id += (uint32_t)base;
        place->span_id += (uint32_t)base;
        place->start += (uint32_t)base;
        place->end += (uint32_t)base;
        if (place->parent_id) place->parent_id += (uint32_t)base;
    }
    payload.bytes = request.bytes;
    payload.count = request.count;
    free(resource.bytes);
    free(scope.bytes);
    free(scope_spans.bytes);
    free(resource_spans.bytes);
    return payload;
}

void payload_refresh(struct payload *payload, struct chance *chance, uint64_t start_unix_nano) {
    uint64_t trace[2] = {0, 0};
    for (size_t number = 0; number < payload->span_count; number++) {
        const struct span_place *place = &payload->places[number];
        uint8_t *bytes = payload->bytes;
        if (!place->parent_id) {
            trace[0] = chance_next(chance);
            trace[1] = chance_next(chance) | 1;
        }
        uint64_t identity = chance_next(chance) | 1;
        payload->span_ids[number] = identity;
        memcpy(bytes + place->trace_id, trace, sizeof trace);
        memcpy(bytes + place->span_id, &identity, sizeof identity);
        if (place->parent_id) memcpy(bytes + place->parent_id, &payload->span_ids[place->parent], sizeof identity);
        // The low bits of the id make the times as uneven as clocks are.
        uint64_t start = start_unix_nano + place->offset_nanoseconds + (identity & 0xFFFFF);
        uint64_t end = start + place->duration_nanoseconds + (identity >> 20 & 0xFFFFF);
        memcpy(bytes + place->start, &start, sizeof start);
        memcpy(bytes + place->end, &end, sizeof end);
    }
}

size_t payload_gzip(const struct payload *payload, uint8_t **into) {
    z_stream stream = {0};
    // Window bits 15, and 16 more for gzip.
    if (deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK) exit(1);
    size_t capacity = deflateBound(&stream, payload->count);
    *into = malloc(capacity);
    if (!*into) exit(1);
    stream.next_in = payload->bytes;
    stream.avail_in = (uInt)payload->count;
    stream.next_out = *into;
    stream.avail_out = (uInt)capacity;
    if (deflate(&stream, Z_FINISH) != Z_STREAM_END) exit(1);
    size_t count = stream.total_out;
    deflateEnd(&stream);
    uint8_t *shrunk = realloc(*into, count);
    if (shrunk) *into = shrunk;
    return count;
}
