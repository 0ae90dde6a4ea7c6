/*
 * launch: gives up access to the network and to other processes, then executes a command.
 *
 *     launch [--local-sockets] -- COMMAND [ARGUMENT...]
 *
 * In the training pod, it starts researchers' code, and our own code that reads files of researchers' code
 * (docs/contracts.md, section 6). A NetworkPolicy depends on an engine that may leave an address family open, and the
 * gate can probe only addresses that it knows. The launcher depends on neither: the kernel creates no socket. It needs
 * no privilege, so it works under the restricted Pod Security Standard, in any image.
 *
 * Its settings survive execve and fork, and no process can undo them:
 *   - no_new_privs: without it, the kernel accepts no filter from an unprivileged process;
 *   - a core file limit of 1 byte, because a core dump holds patients' rows;
 *   - a limit of 0 bytes for queues of POSIX, because a queue outlasts the container that makes it (see FILTER, 5);
 *   - a seccomp filter (see FILTER below).
 * It closes all files except standard input, output and error: a socket that the runtime leaks must not be inherited.
 *
 * It is one static program. It has no configuration and reads no environment variables of its own, because the image's
 * author chooses the environment.
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

/* The exit codes of shells and container runtimes. The site operator reads them (plans/sitetask/pod.py). */
#define NOT_EXECUTABLE 126
#define NOT_FOUND 127
/* EX_TEMPFAIL: the node's kernel refuses the filter. The hub makes another attempt, perhaps on another node. */
#define NO_WALL 75
#define WRONG_USE 70

/* The container runtime's default, for an image that sets no PATH. */
#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define LONGEST_PATH 4096

#if defined(__x86_64__)
#define NATIVE AUDIT_ARCH_X86_64
/* x32 calls have the native architecture and numbers with this bit, so they would pass every rule below. */
#define X32_BIT 0x40000000U
#elif defined(__aarch64__)
#define NATIVE AUDIT_ARCH_AARCH64
#else
#error "launch knows only the system calls of amd64 and arm64"
#endif

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define RETURN(action) BPF_STMT(BPF_RET | BPF_K, (action))
/* If the loaded word equals (IF) or differs from (UNLESS) `value`, return `action`; otherwise continue. */
#define IF(value, action) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), 0, 1), RETURN(action)
#define UNLESS(value, action) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), 1, 0), RETURN(action)
#define REFUSE(error) (SECCOMP_RET_ERRNO | ((error) & SECCOMP_RET_DATA))

/*
 * Arguments of socket and socketpair. The kernel reads an int, so it ignores the upper half of the register. Both
 * architectures are little-endian, so the lower half is at the lower address.
 */
#define FAMILY LOAD(args[0])
#define PROTOCOL LOAD(args[2])

/*
 * FILTER. The order matters: a call's number has a meaning only for a known architecture.
 *   1. Calls of another architecture (int 0x80, 32-bit programs) and of x32 kill the process: no honest program makes
 *      them, and their numbers would not match the rules below.
 *   2. io_uring opens sockets by a queue that no filter sees. ENOSYS: libraries then work without it.
 *   3. Calls that access other processes or take their files; and bpf, userfaultfd, perf_event_open, which attackers
 *      have used to break into kernels. EPERM.
 *   4. Symbolic links. Code knows the path of its launcher, and volumes outlast its container. A link that code leaves
 *      in a volume could redirect a mount of the next container (for example an image's VOLUME, through a link of the
 *      image) over that container's launcher. EPERM, like file systems without links.
 *   5. Shared memory, semaphores and queues of System V, queues of POSIX, and keyrings. They belong to the pod, or to its
 *      user on this node, and outlast the container that makes them, so the code of one model could leave its
 *      predictions there for the next one. EPERM. A queue of POSIX is also a file in /dev/mqueue, which open() can make:
 *      the limit of 0 bytes forbids it (EMFILE). Shared memory of POSIX is a file in /dev/shm, where each reference of an
 *      evaluation has its own mount.
 *   6. Sockets other than AF_UNIX. The other end of an AF_UNIX socket is on this node: in a folder that only training
 *      pods write, or under an abstract name of the pod's network namespace, where the sidecar does not listen.
 * All other calls are allowed here. The runtime's profile (RuntimeDefault) is a second filter, and the stricter result
 * counts.
 */
#define COMMON \
    LOAD(arch), UNLESS(NATIVE, SECCOMP_RET_KILL_PROCESS), LOAD(nr), X32 \
    IF(__NR_io_uring_setup, REFUSE(ENOSYS)), IF(__NR_io_uring_enter, REFUSE(ENOSYS)), \
    IF(__NR_io_uring_register, REFUSE(ENOSYS)), IF(__NR_ptrace, REFUSE(EPERM)), \
    IF(__NR_process_vm_readv, REFUSE(EPERM)), IF(__NR_process_vm_writev, REFUSE(EPERM)), \
    IF(__NR_pidfd_getfd, REFUSE(EPERM)), IF(__NR_kcmp, REFUSE(EPERM)), IF(__NR_bpf, REFUSE(EPERM)), \
    IF(__NR_userfaultfd, REFUSE(EPERM)), IF(__NR_perf_event_open, REFUSE(EPERM)), \
    IF(__NR_symlinkat, REFUSE(EPERM)), OLD_CALLS \
    IF(__NR_shmget, REFUSE(EPERM)), IF(__NR_semget, REFUSE(EPERM)), IF(__NR_msgget, REFUSE(EPERM)), \
    IF(__NR_mq_open, REFUSE(EPERM)), IF(__NR_add_key, REFUSE(EPERM)), IF(__NR_request_key, REFUSE(EPERM)), \
    IF(__NR_keyctl, REFUSE(EPERM)), \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_socket, 2, 0), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_socketpair, 1, 0), \
    RETURN(SECCOMP_RET_ALLOW), FAMILY, IF(AF_UNIX, SECCOMP_RET_ALLOW)

#ifdef X32_BIT
#define X32 BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, X32_BIT, 0, 1), RETURN(SECCOMP_RET_KILL_PROCESS),
#else
#define X32
#endif

/* arm64 has only the newer `...at` calls. */
#ifdef __NR_symlink
#define OLD_CALLS IF(__NR_symlink, REFUSE(EPERM)),
#else
#define OLD_CALLS
#endif

static struct sock_filter no_network[] = {COMMON, RETURN(REFUSE(EAFNOSUPPORT))};

/*
 * For a round with resources.localSockets. A filter sees no addresses, so it cannot distinguish loopback from other
 * networks. NCCL, and gloo with a named interface, call getifaddrs, which queries the kernel by a netlink socket of
 * protocol 0 (NETLINK_ROUTE). A process without privileges can only query it, and can read the same in /proc/net. Other
 * netlink protocols stay closed.
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

/* Writes one line to the container's log, which stays at the hospital, and exits. */
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
 * If core_pattern is a pipe to a program on the node, the kernel ignores every limit except 1 byte (core(5)). A process
 * without privileges cannot raise a hard limit of 0: then the kernel writes no file, but still dumps into a pipe.
 */
static void forbid_core_dumps(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_CORE, &limit) != 0)
        end(NO_WALL, "the limit for core dumps cannot be read: %s", strerror(errno));
    if (limit.rlim_max == 0) {
        fputs("launch: this node's hard limit for core dumps is 0 and cannot become 1: a program that core_pattern names "
              "still gets core dumps\n", stderr);
        return;
    }
    limit.rlim_cur = limit.rlim_max = 1;
    if (setrlimit(RLIMIT_CORE, &limit) != 0)
        end(NO_WALL, "core dumps cannot be forbidden: %s", strerror(errno));
}

/* A queue is made by mq_open or by open() in /dev/mqueue. A filter sees no path, so only the limit stops the second. */
static void forbid_queues(void) {
    struct rlimit none = {0, 0};
    if (setrlimit(RLIMIT_MSGQUEUE, &none) != 0)
        end(NO_WALL, "message queues cannot be forbidden: %s", strerror(errno));
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
        end(NO_WALL, "the kernel of this node refuses seccomp filters: %s. Does its runtime allow them?", strerror(errno));
}

/* The search skips folders: execve of a folder fails with EACCES, and would end the search. */
static int is_file(const char *path) {
    struct stat status;
    return stat(path, &status) == 0 && S_ISREG(status.st_mode);
}

/*
 * Executes the command, never through a shell. Like container runtimes, it uses a name with a slash as it is, and
 * searches another name in the folders of PATH. Returns only on failure: whether there is such a file, with errno set.
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
            /* A file that is not executable does not end the search. */
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
    /* "--" is required, so that no word of a round's command can be read as a flag. */
    if (command + 1 >= count || strcmp(arguments[command], "--") != 0)
        end(WRONG_USE, "usage: launch [--local-sockets] -- COMMAND [ARGUMENT...]");
    command++;

    forbid_core_dumps();
    forbid_queues();
    close_other_files();
    if (local)
        install(local_sockets, sizeof local_sockets / sizeof *local_sockets);
    else
        install(no_network, sizeof no_network / sizeof *no_network);

    /* errno is not enough: a script without its interpreter fails with ENOENT, too. */
    if (!become(&arguments[command]))
        end(NOT_FOUND, "this image has no program %s", arguments[command]);
    end(NOT_EXECUTABLE, "the program %s cannot be started: %s", arguments[command], strerror(errno));
}
