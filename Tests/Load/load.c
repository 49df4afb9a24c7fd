/* Sends OTLP traces over HTTP as fast as they are answered, or at a given rate, and tells how it went as one line of JSON.
 *
 *   cc -O2 -pthread -o load load.c payload.c -lz
 *   ./load -p 4318 -c 8 -b 100 -n 2000000          closed loop: 8 connections, each waits for its answer
 *   ./load -p 4318 -c 64 -b 100 -r 100000 -t 60    open loop: 100,000 spans a second, whatever the answers do
 *
 * In the open loop a request has a time at which it is due, and its latency counts from then: a server that stalls is charged for
 * every request that had to wait, not only for the one that it stalled on. Bodies are made beforehand and get fresh ids and times
 * in place; with -z every body is compressed before the clock starts, so that the generator's own work does not show.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "payload.h"

enum { payload_count = 1024, payloads_each_min = 8, answer_bytes_max = 16 * 1024, status_max = 600, threads_max = 16 };

static struct {
    int port, connections, threads;
    size_t spans_per_request;
    long requests;
    double spans_per_second, seconds;
    int gzip;
    uint64_t seed;
} options = {.port = 4318, .connections = 8, .threads = 1, .spans_per_request = 100, .requests = -1, };

static uint64_t nanoseconds(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void die(const char *what) {
    fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* A compressed body, ready to be sent. */
struct compressed {
    uint8_t *bytes;
    size_t count;
};

static struct compressed *compressed;
static atomic_long next_request;
/* Different bodies that one connection sends, over and over with fresh ids and times. */
static int payloads_each;
static uint64_t start_time, end_time, interval_nanoseconds;

struct connection {
    int socket;
    /* Whether a request is under way; it is due at `due` and was begun at `begun`. */
    int is_busy;
    uint64_t due, begun;
    struct payload *payloads;
    /* What is being sent: a head, then a body. */
    char head[256];
    size_t head_count, sent;
    const uint8_t *body;
    size_t body_count;
    char answer[answer_bytes_max];
    size_t answer_count;
    /* After a 503, not before this. */
    uint64_t rests_until;
};

struct worker {
    pthread_t thread;
    int epoll, connection_count;
    struct connection *connections;
    struct chance chance;
    double *latencies;
    size_t latency_count, latency_capacity;
    long statuses[status_max], failures;
    uint64_t bytes;
    /* In the open loop, the request that is due next and has no connection yet. */
    long pending;
    uint64_t last_answer;
};

static void connect_to_server(struct worker *worker, struct connection *connection) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)options.port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int one = 1;
    connection->socket = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connection->socket < 0 || connect(connection->socket, (struct sockaddr *)&address, sizeof address) != 0) die("connect");
    setsockopt(connection->socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (fcntl(connection->socket, F_SETFL, O_NONBLOCK) != 0) die("fcntl");
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    if (epoll_ctl(worker->epoll, EPOLL_CTL_ADD, connection->socket, &event) != 0) die("epoll_ctl");
}

static void watch(struct worker *worker, struct connection *connection, uint32_t events) {
    struct epoll_event event = {.events = events, .data.ptr = connection};
    if (epoll_ctl(worker->epoll, EPOLL_CTL_MOD, connection->socket, &event) != 0) die("epoll_ctl");
}

static void reconnect(struct worker *worker, struct connection *connection) {
    worker->failures++;
    close(connection->socket);
    connection->is_busy = 0;
    if (next_request < options.requests || options.requests < 0) connect_to_server(worker, connection);
}

static void send_more(struct worker *worker, struct connection *connection) {
    size_t total = connection->head_count + connection->body_count;
    while (connection->sent < total) {
        struct iovec parts[2];
        int count = 0;
        if (connection->sent < connection->head_count) {
            parts[count].iov_base = connection->head + connection->sent;
            parts[count++].iov_len = connection->head_count - connection->sent;
        }
        size_t body_sent = connection->sent > connection->head_count ? connection->sent - connection->head_count : 0;
        parts[count].iov_base = (void *)(uintptr_t)(connection->body + body_sent);
        parts[count++].iov_len = connection->body_count - body_sent;
        struct msghdr message = {.msg_iov = parts, .msg_iovlen = (size_t)count};
        ssize_t written = sendmsg(connection->socket, &message, MSG_NOSIGNAL);
        if (written < 0) {
            if (errno == EINTR) continue;
            if (errno == EAGAIN) {
                watch(worker, connection, EPOLLIN | EPOLLOUT);
                return;
            }
            reconnect(worker, connection);
            return;
        }
        connection->sent += (size_t)written;
    }
    watch(worker, connection, EPOLLIN);
}

static void begin(struct worker *worker, struct connection *connection, long number, uint64_t due) {
    if (options.gzip) {
        connection->body = compressed[number].bytes;
        connection->body_count = compressed[number].count;
    } else {
        // A run of the agent ended a moment ago.
        struct payload *payload = &connection->payloads[chance_next(&worker->chance) % (uint64_t)payloads_each];
        payload_refresh(payload, &worker->chance, nanoseconds(CLOCK_REALTIME) - 12000000000u);
        connection->body = payload->bytes;
        connection->body_count = payload->count;
    }
    connection->head_count = (size_t)snprintf(
        connection->head, sizeof connection->head,
        "POST /v1/traces HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Type: application/x-protobuf\r\n%sContent-Length: %zu\r\n\r\n",
        options.port, options.gzip ? "Content-Encoding: gzip\r\n" : "", connection->body_count);
    connection->sent = 0;
    connection->answer_count = 0;
    connection->is_busy = 1;
    connection->due = due;
    connection->begun = nanoseconds(CLOCK_MONOTONIC);
    worker->bytes += connection->head_count + connection->body_count;
    send_more(worker, connection);
}

/* The status of a whole answer; 0 when it is not there yet, -1 when it is none that we understand. */
static int answer_status(struct connection *connection) {
    connection->answer[connection->answer_count] = 0;
    char *head_end = strstr(connection->answer, "\r\n\r\n");
    if (!head_end) return connection->answer_count == answer_bytes_max - 1 ? -1 : 0;
    size_t length = 0;
    for (char *line = connection->answer; line < head_end; line = strstr(line, "\r\n") + 2)
        if (!strncasecmp(line, "content-length:", 15)) length = strtoul(line + 15, NULL, 10);
    if (connection->answer_count < (size_t)(head_end + 4 - connection->answer) + length) return 0;
    int status = atoi(connection->answer + 9);
    return status > 0 && status < status_max ? status : -1;
}

static void receive(struct worker *worker, struct connection *connection) {
    ssize_t count = recv(
        connection->socket, connection->answer + connection->answer_count, answer_bytes_max - 1 - connection->answer_count, 0);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (count <= 0) {
        reconnect(worker, connection);
        return;
    }
    connection->answer_count += (size_t)count;
    int status = answer_status(connection);
    if (status == 0) return;
    if (status < 0) {
        reconnect(worker, connection);
        return;
    }
    uint64_t now = nanoseconds(CLOCK_MONOTONIC);
    worker->statuses[status]++;
    worker->last_answer = now;
    if (worker->latency_count == worker->latency_capacity) {
        worker->latency_capacity = 2 * worker->latency_capacity + 4096;
        worker->latencies = realloc(worker->latencies, worker->latency_capacity * sizeof *worker->latencies);
        if (!worker->latencies) die("memory");
    }
    worker->latencies[worker->latency_count++] = (double)(now - connection->due) / 1e6;
    connection->is_busy = 0;
    // A client that is told to come back later does, though sooner than it was told.
    if (status == 503) connection->rests_until = now + 10000000u;
}

/* Takes the next request's number and the time at which it is due; -1 when there is none left. */
static long take(struct worker *worker, uint64_t now, uint64_t *due) {
    if (worker->pending < 0) {
        long number = atomic_fetch_add(&next_request, 1);
        if (options.requests >= 0 && number >= options.requests) return -1;
        worker->pending = number;
    }
    *due = interval_nanoseconds ? start_time + (uint64_t)worker->pending * interval_nanoseconds : now;
    return worker->pending;
}

/* Gives idle connections what is due. Returns nanoseconds until there is more to do; a large number when only answers matter. */
static uint64_t dispatch(struct worker *worker, int *is_finished) {
    uint64_t wait = 1000000000u;
    int busy = 0;
    *is_finished = 0;
    uint64_t now = nanoseconds(CLOCK_MONOTONIC);
    int may_send = !end_time || now < end_time;
    for (int index = 0; index < worker->connection_count; index++) {
        struct connection *connection = &worker->connections[index];
        if (connection->is_busy) {
            busy++;
            continue;
        }
        if (!may_send) continue;
        if (connection->rests_until > now) {
            if (connection->rests_until - now < wait) wait = connection->rests_until - now;
            continue;
        }
        uint64_t due;
        long number = take(worker, now, &due);
        if (number < 0) {
            may_send = 0;
            continue;
        }
        if (due > now) {
            if (due - now < wait) wait = due - now;
            busy++;
            break;
        }
        worker->pending = -1;
        begin(worker, connection, number, due);
        busy++;
    }
    *is_finished = !may_send && busy == 0;
    return wait;
}

static void *run(void *argument) {
    struct worker *worker = argument;
    struct epoll_event events[64];
    for (;;) {
        int is_finished;
        uint64_t wait = dispatch(worker, &is_finished);
        if (is_finished) return NULL;
        struct timespec timeout = {.tv_sec = (time_t)(wait / 1000000000u), .tv_nsec = (long)(wait % 1000000000u)};
        int count = epoll_pwait2(worker->epoll, events, 64, &timeout, NULL);
        if (count < 0 && errno != EINTR) die("epoll");
        for (int index = 0; index < count; index++) {
            struct connection *connection = events[index].data.ptr;
            if (events[index].events & EPOLLOUT) send_more(worker, connection);
            if (events[index].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) receive(worker, connection);
        }
    }
}

static void prepare(struct worker *worker, int number) {
    worker->epoll = epoll_create1(EPOLL_CLOEXEC);
    worker->pending = -1;
    worker->chance.state = options.seed * 1000003u + (uint64_t)number;
    worker->connection_count = options.connections / options.threads + (number < options.connections % options.threads);
    worker->connections = calloc((size_t)worker->connection_count, sizeof *worker->connections);
    if (!worker->connections) die("memory");
    for (int index = 0; index < worker->connection_count; index++) {
        struct connection *connection = &worker->connections[index];
        connection->payloads = calloc((size_t)payloads_each, sizeof *connection->payloads);
        if (!connection->payloads) die("memory");
        for (int each = 0; each < payloads_each; each++)
            connection->payloads[each] = payload_make(&worker->chance, options.spans_per_request);
        connect_to_server(worker, connection);
    }
}

static void compress_bodies(void) {
    struct chance chance = {.state = options.seed};
    static struct payload payloads[payload_count];
    for (int index = 0; index < payload_count; index++) payloads[index] = payload_make(&chance, options.spans_per_request);
    compressed = calloc((size_t)options.requests, sizeof *compressed);
    if (!compressed) die("memory");
    uint64_t now = nanoseconds(CLOCK_REALTIME) - 12000000000u;
    for (long number = 0; number < options.requests; number++) {
        struct payload *payload = &payloads[number % payload_count];
        payload_refresh(payload, &chance, now);
        compressed[number].count = payload_gzip(payload, &compressed[number].bytes);
    }
}

static int ascending(const void *left, const void *right) {
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

static void report(struct worker *workers, double seconds) {
    size_t count = 0;
    long statuses[status_max] = {0}, failures = 0, answered = 0;
    uint64_t bytes = 0;
    for (int index = 0; index < options.threads; index++) count += workers[index].latency_count;
    double *all = malloc((count + 1) * sizeof *all);
    if (!all) die("memory");
    count = 0;
    for (int index = 0; index < options.threads; index++) {
        memcpy(all + count, workers[index].latencies, workers[index].latency_count * sizeof *all);
        count += workers[index].latency_count;
        failures += workers[index].failures;
        bytes += workers[index].bytes;
        for (int status = 0; status < status_max; status++) statuses[status] += workers[index].statuses[status];
    }
    qsort(all, count, sizeof *all, ascending);
    if (count == 0) all[0] = 0;
    for (int status = 0; status < status_max; status++) answered += statuses[status];
    long spans = statuses[200] * (long)options.spans_per_request;
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    double own = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) + (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
    printf(
        "{\"acknowledged_spans\":%ld,\"seconds\":%.3f,\"spans_per_second\":%.0f,\"requests\":%ld,\"bytes_per_span\":%.1f,"
        "\"p50_milliseconds\":%.3f,\"p90_milliseconds\":%.3f,\"p99_milliseconds\":%.3f,\"maximum_milliseconds\":%.3f,"
        "\"broken_connections\":%ld,\"own_cpu_seconds\":%.3f,\"statuses\":{",
        spans, seconds, (double)spans / seconds, answered,
        answered ? (double)bytes / (double)answered / (double)options.spans_per_request : 0, all[count / 2], all[count * 9 / 10],
        all[count * 99 / 100], all[count ? count - 1 : 0], failures, own);
    const char *separator = "";
    for (int status = 0; status < status_max; status++) {
        if (!statuses[status]) continue;
        printf("%s\"%d\":%ld", separator, status, statuses[status]);
        separator = ",";
    }
    puts("}}");
}

static void parse(int argc, char **argv) {
    int option;
    long spans = -1;
    while ((option = getopt(argc, argv, "p:c:T:b:n:r:t:zs:")) != -1) switch (option) {
        case 'p': options.port = atoi(optarg); break;
        case 'c': options.connections = atoi(optarg); break;
        case 'T': options.threads = atoi(optarg); break;
        case 'b': options.spans_per_request = strtoul(optarg, NULL, 10); break;
        case 'n': spans = atol(optarg); break;
        case 'r': options.spans_per_second = atof(optarg); break;
        case 't': options.seconds = atof(optarg); break;
        case 'z': options.gzip = 1; break;
        case 's': options.seed = strtoull(optarg, NULL, 10); break;
        default:
            fputs("usage: load [-p port] [-c connections] [-T threads] [-b spans a request] [-n spans] [-t seconds] [-r spans a second]\n"
                  "            [-z (gzip)] [-s seed]\n", stderr);
            exit(2);
        }
    int is_good = options.connections > 0 && options.threads > 0 && options.threads <= threads_max && options.spans_per_request > 0 &&
        options.spans_per_request <= 50000 && (spans >= 0 || options.seconds > 0) && (!options.gzip || spans >= 0);
    if (!is_good) {
        fputs("load: say how much with -n or -t; -z needs -n\n", stderr);
        exit(2);
    }
    if (options.threads > options.connections) options.threads = options.connections;
    if (spans >= 0) options.requests = spans / (long)options.spans_per_request;
    if (options.spans_per_second > 0)
        interval_nanoseconds = (uint64_t)((double)options.spans_per_request / options.spans_per_second * 1e9);
}

int main(int argc, char **argv) {
    // Unless it is said, another one each time: ids that were sent before would be stored once.
    options.seed = nanoseconds(CLOCK_REALTIME);
    parse(argc, argv);
    static struct worker workers[threads_max];
    payloads_each = payload_count / options.connections;
    if (payloads_each < payloads_each_min) payloads_each = payloads_each_min;
    if (options.gzip) compress_bodies();
    for (int index = 0; index < options.threads; index++) prepare(&workers[index], index);
    start_time = nanoseconds(CLOCK_MONOTONIC);
    if (options.seconds > 0) end_time = start_time + (uint64_t)(options.seconds * 1e9);
    for (int index = 0; index < options.threads; index++)
        if (pthread_create(&workers[index].thread, NULL, run, &workers[index]) != 0) die("pthread_create");
    uint64_t last = start_time;
    for (int index = 0; index < options.threads; index++) {
        pthread_join(workers[index].thread, NULL);
        if (workers[index].last_answer > last) last = workers[index].last_answer;
    }
    report(workers, (double)(last - start_time) / 1e9);
    return 0;
}
