/*
 * launch: takes the network and other processes away from itself, and becomes the command it is given.
 *
 *     launch [--local-sockets] -- COMMAND [ARGUMENT...]
 *
 * It starts researchers' code, and our own code that reads what researchers' code wrote, in the training pod
 * (docs/contracts.md, section 6). A NetworkPolicy depends on an engine that may leave an address family open, and a gate
 * can ask only the addresses that it knows. This wall depends on neither: the kernel makes no socket at all. It needs
 * no privilege, so it works under the restricted Pod Security Standard, in any image.
 *
 * What it sets survives execve and fork, and no process can take it back:
 *   - no_new_privs, without which the kernel takes no filter from an unprivileged process;
 *   - a core file limit of 1 byte, since a core dump holds the patients' rows;
 *   - a seccomp filter (see FILTER below).
 * It closes all files but standard input, output and error: a runtime that leaks a socket must not hand it on.
 *
 * It is one static program without configuration and without environment variables of its own: whoever chooses the
 * image chooses the environment.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* As a shell answers, and as container runtimes do: the site operator reads these codes (plans/sitetask/pod.py). */
#define NOT_EXECUTABLE 126
#define NOT_FOUND 127
/* A node whose kernel refuses the filter is no fault of the code: 75 (EX_TEMPFAIL) is retried, on another node perhaps. */
#define NO_WALL 75
#define WRONG_USE 70

/* The container runtime's own, for an image that sets no PATH. */
#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define LONGEST_PATH 4096

#if defined(__x86_64__)
#define NATIVE AUDIT_ARCH_X86_64
/* x32 calls come under the native architecture, by numbers with this bit: unseen, they would pass every rule below. */
#define X32_BIT 0x40000000U
#elif defined(__aarch64__)
#define NATIVE AUDIT_ARCH_AARCH64
#else
#error "launch knows the system calls of amd64 and arm64 alone"
#endif

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define RETURN(action) BPF_STMT(BPF_RET | BPF_K, (action))
/* If the loaded word is this, return that; else go on. */
#define IF(value, action) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), 0, 1), RETURN(action)
#define UNLESS(value, action) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), 1, 0), RETURN(action)
#define REFUSE(error) (SECCOMP_RET_ERRNO | ((error) & SECCOMP_RET_DATA))

/*
 * The first argument of socket and socketpair. The kernel reads an int, so the upper half of the register counts for
 * nothing; both architectures are little-endian, so the lower half is at the lower address.
 */
#define FAMILY LOAD(args[0])
#define PROTOCOL LOAD(args[2])

/*
 * FILTER. The order matters: the number of a call means something only once the architecture is known.
 *   1. Calls of a foreign architecture (int 0x80, 32-bit programs) and of x32 kill: no honest program makes them, and
 *      under their numbers every rule below would miss.
 *   2. io_uring opens sockets by a queue that no filter sees. ENOSYS: libraries then do without.
 *   3. What reaches into other processes, or takes files out of them; and bpf, userfaultfd, perf_event_open, by which
 *      kernels have been broken into. EPERM.
 *   4. Symbolic links. Code knows where its own launcher lies, and volumes outlast its container: a link that it leaves
 *      there leads a mount of the next container (an image's VOLUME, say, through a link of the image's own) over that
 *      container's launcher. EPERM, as file systems without links say.
 *   5. Sockets of AF_UNIX alone. Their other end is on this node, in a folder that training pods alone write, or under
 *      an abstract name of the pod's own network namespace, where the sidecar listens on none.
 * Everything else is allowed here and stays under the runtime's own profile (RuntimeDefault), which is a filter as well:
 * of two filters the stricter answer counts.
 */
#define COMMON \
    LOAD(arch), UNLESS(NATIVE, SECCOMP_RET_KILL_PROCESS), LOAD(nr), X32 \
    IF(__NR_io_uring_setup, REFUSE(ENOSYS)), IF(__NR_io_uring_enter, REFUSE(ENOSYS)), \
    IF(__NR_io_uring_register, REFUSE(ENOSYS)), IF(__NR_ptrace, REFUSE(EPERM)), \
    IF(__NR_process_vm_readv, REFUSE(EPERM)), IF(__NR_process_vm_writev, REFUSE(EPERM)), \
    IF(__NR_pidfd_getfd, REFUSE(EPERM)), IF(__NR_kcmp, REFUSE(EPERM)), IF(__NR_bpf, REFUSE(EPERM)), \
    IF(__NR_userfaultfd, REFUSE(EPERM)), IF(__NR_perf_event_open, REFUSE(EPERM)), \
    IF(__NR_symlinkat, REFUSE(EPERM)), OLD_CALLS \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_socket, 2, 0), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_socketpair, 1, 0), \
    RETURN(SECCOMP_RET_ALLOW), FAMILY, IF(AF_UNIX, SECCOMP_RET_ALLOW)

#ifdef X32_BIT
#define X32 BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, X32_BIT, 0, 1), RETURN(SECCOMP_RET_KILL_PROCESS),
#else
#define X32
#endif

/* arm64 never had the calls of which `...at` is the newer form. */
#ifdef __NR_symlink
#define OLD_CALLS IF(__NR_symlink, REFUSE(EPERM)),
#else
#define OLD_CALLS
#endif

static struct sock_filter no_network[] = {COMMON, RETURN(REFUSE(EAFNOSUPPORT))};

/*
 * For a round with resources.localSockets. A filter sees no addresses, so loopback cannot be told from the world here.
 * NCCL, and gloo with a named interface, call getifaddrs, which asks the kernel by a netlink socket of protocol 0
 * (NETLINK_ROUTE). To a process without privileges that one only answers, and /proc/net tells the same. Other
 * protocols of netlink stay closed.
 */
static struct sock_filter local_sockets[] = {
    COMMON,
    IF(AF_INET, SECCOMP_RET_ALLOW),
    IF(AF_INET6, SECCOMP_RET_ALLOW),
    UNLESS(AF_NETLINK, REFUSE(EAFNOSUPPORT)),
    PROTOCOL,
    UNLESS(0 /* NETLINK_ROUTE */, REFUSE(EAFNOSUPPORT)),
    RETURN(SECCOMP_RET_ALLOW),
};

/* One line to the container's log, which stays at the hospital. */
__attribute__((noreturn, format(printf, 2, 3))) static void end(int code, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fputs("launch: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(code);
}

/*
 * The kernel hands a core dump to a program on the node (core_pattern with a pipe) whatever the limit is, but for 1
 * byte: core(5). A process without privileges cannot raise a hard limit of 0; then no file is written, and a piped
 * program is told of the 0.
 */
static void forbid_core_dumps(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_CORE, &limit) != 0)
        end(NO_WALL, "the limit for core dumps cannot be read: %s", strerror(errno));
    if (limit.rlim_max == 0) {
        fputs("launch: this node's hard limit for core dumps is 0 and cannot become 1: a program that core_pattern names "
              "still gets them\n", stderr);
        return;
    }
    limit.rlim_cur = limit.rlim_max = 1;
    if (setrlimit(RLIMIT_CORE, &limit) != 0)
        end(NO_WALL, "core dumps cannot be forbidden: %s", strerror(errno));
}

static void close_other_files(void) {
    if (syscall(__NR_close_range, STDERR_FILENO + 1, ~0U, 0U) == 0)
        return;
    /* Kernels before 5.9, and runtimes whose profile does not know the call. */
    for (long file = STDERR_FILENO + 1, most = sysconf(_SC_OPEN_MAX); file < most; file++)
        close((int)file);
}

static void install(struct sock_filter *rules, size_t count) {
    struct sock_fprog filter = {.len = (unsigned short)count, .filter = rules};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        end(NO_WALL, "no_new_privs cannot be set: %s", strerror(errno));
    if (syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter) != 0)
        end(NO_WALL, "the kernel of this node takes no seccomp filter: %s. Does its runtime allow them?", strerror(errno));
}

/* A folder of that name is no program: execve says EACCES of it, and the search would end there. */
static int is_file(const char *path) {
    struct stat found;
    return stat(path, &found) == 0 && S_ISREG(found.st_mode);
}

/*
 * Becomes the command, found as container runtimes find it: a name with a slash as it is, another in the folders of
 * PATH, in order. Never through a shell. Returns only if that failed: whether there is such a file, with errno.
 */
static int become(char *const command[]) {
    extern char **environ;
    const char *folder = getenv("PATH");
    char path[LONGEST_PATH];
    int found = 0, reason = ENOENT;

    if (strchr(command[0], '/') != NULL) {
        execve(command[0], command, environ);
        reason = errno;
        found = is_file(command[0]);
        errno = reason;
        return found;
    }
    if (folder == NULL)
        folder = DEFAULT_PATH;
    for (;;) {
        size_t length = strcspn(folder, ":");
        int written = snprintf(path, sizeof path, "%.*s%s%s", (int)length, folder, length ? "/" : "./", command[0]);
        if (written > 0 && (size_t)written < sizeof path && is_file(path)) {
            execve(path, command, environ);
            reason = errno;
            found = 1;
            /* A file that nobody may run does not hide one further on. */
            if (reason != EACCES)
                break;
        }
        if (folder[length] == '\0')
            break;
        folder += length + 1;
    }
    errno = reason;
    return found;
}

int main(int count, char *arguments[]) {
    int command = 1, local = 0;
    if (command < count && strcmp(arguments[command], "--local-sockets") == 0) {
        local = 1;
        command++;
    }
    /* "--" is demanded, so that no word of a round's command is ever read as a flag. */
    if (command + 1 >= count || strcmp(arguments[command], "--") != 0)
        end(WRONG_USE, "usage: launch [--local-sockets] -- COMMAND [ARGUMENT...]");
    command++;

    forbid_core_dumps();
    close_other_files();
    if (local)
        install(local_sockets, sizeof local_sockets / sizeof *local_sockets);
    else
        install(no_network, sizeof no_network / sizeof *no_network);

    /* A script whose interpreter is missing says ENOENT as well, so errno alone does not tell. */
    if (!become(&arguments[command]))
        end(NOT_FOUND, "this image has no program %s", arguments[command]);
    end(NOT_EXECUTABLE, "the program %s cannot be started: %s", arguments[command], strerror(errno));
}
