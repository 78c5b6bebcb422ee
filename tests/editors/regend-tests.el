;;; regend-tests.el --- The Emacs package against a real daemon  -*- lexical-binding: t; -*-

;;; Commentary:

;; The daemon serves the directory $ROOT.  `tests/editors/test_emacs.py' runs this in batch.

;;; Code:

(require 'ert)
(require 'regend)

(defconst regend-tests-root (file-name-as-directory (getenv "ROOT")))

(defmacro regend-tests-in (file &rest body)
  "Run BODY in a buffer of FILE; leave no buffer behind but those of the process."
  (declare (indent 1))
  `(let ((before (buffer-list)))
     (unwind-protect
         (with-current-buffer (find-file-noselect (expand-file-name ,file regend-tests-root))
           ,@body)
       (dolist (buffer (buffer-list))
         (unless (or (memq buffer before) (string-prefix-p " *regend" (buffer-name buffer)))
           (with-current-buffer buffer (set-buffer-modified-p nil))
           (kill-buffer buffer))))))

(defun regend-tests-until (condition)
  "Wait until CONDITION returns non-nil, and return that."
  (let ((deadline (+ (float-time) 20)) found)
    (while (not (setq found (funcall condition)))
      (should (< (float-time) deadline))
      (accept-process-output nil 0.01))
    found))

(defun regend-tests-xrefs (command &rest arguments)
  "Run COMMAND with ARGUMENTS, and return the lines of the buffer that it shows."
  (when (get-buffer "*xref*") (kill-buffer "*xref*"))
  (apply command arguments)
  (regend-tests-until (lambda () (get-buffer "*xref*")))
  (with-current-buffer "*xref*" (split-string (buffer-string) "\n" t)))

(ert-deftest regend-tests-search ()
  (regend-tests-in "README.md"
    (let ((lines (regend-tests-xrefs #'regend-search "JobQueue")))
      (should (string-suffix-p "src/jobs/queue.py" (nth 0 lines)))
      (should (string-match-p "4: class JobQueue:" (nth 1 lines))))
    (with-current-buffer "*xref*"
      (goto-char (point-min))
      (search-forward "JobQueue")
      (should (memq 'xref-match (ensure-list (get-text-property (1- (point)) 'face))))
      (xref-revert-buffer)
      (should (string-match-p "class JobQueue" (buffer-string)))
      (goto-char (point-min))
      (xref-next-line)
      (xref-goto-xref))
    (with-current-buffer "queue.py"
      (should (= 4 (line-number-at-pos))))))

(ert-deftest regend-tests-related-and-symbols ()
  (regend-tests-in "src/jobs/queue.py"
    (goto-char (point-min))
    (forward-line 3)
    (should (seq-some (lambda (line) (string-suffix-p "tests/queue.py" line)) (regend-tests-xrefs #'regend-related)))
    (should (string-match-p "class JobQueue.*\\[JobQueue\\]" (nth 1 (regend-tests-xrefs #'regend-symbols "JobQueue"))))))

(ert-deftest regend-tests-choose ()
  (regend-tests-in "README.md"
    (let (offered)
      (cl-letf (((symbol-function 'completing-read)
                 (lambda (_ table &rest _)
                   (setq offered (all-completions "" table))
                   (substring-no-properties (car offered)))))
        (regend-find "JobQueue")
        (should (string-prefix-p "src/jobs/queue.py:4: class JobQueue" (car offered)))
        (should (string-suffix-p "queue.py" (buffer-file-name (window-buffer))))
        (with-current-buffer (window-buffer)
          (should (= 4 (line-number-at-pos)))
          (regend-outline)
          (should (string-match-p "class JobQueue$" (car offered)))
          (should (= 4 (line-number-at-pos))))))))

(ert-deftest regend-tests-modified-buffers ()
  (regend-tests-in "src/jobs/queue.py"
    (goto-char (point-max))
    (insert "\n\ndef unsaved_quokka():\n    return \"\u20ac \\\\\"\n")
    (narrow-to-region (point-min) 10)
    (let ((lines (regend-tests-xrefs #'regend-search "unsaved_quokka")))
      (should (string-match-p "def unsaved_quokka.*\\[unsaved\\]" (nth 1 lines))))
    (with-current-buffer (find-file-noselect (expand-file-name "src/dos.py" regend-tests-root))
      (setq buffer-file-coding-system 'utf-8-dos)
      (insert "a = 1\nb = 2\n")
      (should (equal "a = 1\r\nb = 2\r\n" (regend--text (current-buffer))))
      (insert (make-string regend--max-bytes ?x))
      (should (string-match-p "unsaved_quokka" (regend--overlays)))
      (should-not (string-match-p "dos.py" (regend--overlays))))))

(ert-deftest regend-tests-saved-file ()
  (regend-tests-in "src/saved_by_emacs.py"
    (insert "def saved_numbat():\n    return 1\n")
    (let ((save-silently t)) (save-buffer))
    (should (string-match-p "def saved_numbat" (nth 1 (regend-tests-xrefs #'regend-search "\"saved_numbat\""))))))

(ert-deftest regend-tests-live ()
  "Typing fills a buffer of `grep-mode', through which `next-error' goes."
  (regend-tests-in "README.md"
    (cl-letf (((symbol-function 'read-string)
               (lambda (&rest _)
                 (with-temp-buffer
                   (cl-letf (((symbol-function 'minibuffer-contents-no-properties) #'buffer-string))
                     (run-hooks 'minibuffer-setup-hook)
                     (insert "Job")
                     (insert "Queue")
                     (regend-tests-until (lambda ()
                                           (and (get-buffer "*regend live*")
                                                (with-current-buffer "*regend live*"
                                                  (string-prefix-p "Regend: JobQueue" (buffer-string)))))))))))
      (regend-live))
    (should (string-match-p "^src/jobs/queue.py:4:class JobQueue:" (buffer-string)))
    (should (derived-mode-p 'grep-mode))
    (next-error)
    (with-current-buffer (window-buffer)
      (should (string-suffix-p "queue.py" buffer-file-name))
      (should (= 4 (line-number-at-pos))))))

(ert-deftest regend-tests-live-consult ()
  (skip-unless (regend--consult-p))
  (regend-tests-in "README.md"
    (cl-letf (((symbol-function 'consult--read)
               (lambda (collection &rest options)
                 (let* ((found nil)
                        (collect (funcall collection
                                          (lambda (action)
                                            (when (consp action) (setq found (append found action)))))))
                   (funcall collect 'setup)
                   (funcall collect "JobQueue")
                   (regend-tests-until (lambda () found))
                   (funcall collect 'destroy)
                   (funcall (plist-get options :lookup) (substring-no-properties (car found)) found)))))
      (regend-live))
    (with-current-buffer (window-buffer)
      (should (string-suffix-p "queue.py" buffer-file-name)))))

(ert-deftest regend-tests-xref-backend ()
  (regend-tests-in "tests/queue.py"
    (setq-local xref-backend-functions (list #'regend-xref-backend))
    (let ((found (xref-backend-definitions (xref-find-backend) "JobQueue")))
      (should (= 1 (length found)))
      (should (= 4 (xref-location-line (xref-item-location (car found))))))
    (should (member "JobQueue" (all-completions "JobQ" (xref-backend-identifier-completion-table 'regend))))))

(ert-deftest regend-tests-project ()
  "The project around the buffer is asked, from a folder below it, too."
  (should (executable-find "git"))
  (let ((default-directory regend-tests-root))
    (call-process "git" nil nil nil "init" "-q"))
  (regend-tests-in "src/jobs/queue.py"
    (should (equal regend-tests-root (file-name-as-directory (regend--directory))))
    (cl-letf (((symbol-function 'read-string) (lambda (&rest _) "tried again with backoff")))
      (should (string-suffix-p "src/net/retry.py" (car (regend-tests-xrefs #'regend-project-search)))))))

(ert-deftest regend-tests-failures ()
  (regend-tests-in "README.md"
    (let ((said nil))
      (cl-letf (((symbol-function 'message) (lambda (text &rest words) (push (apply #'format text words) said))))
        (regend-search "lang:klingon x")
        (regend-tests-until (lambda () (seq-some (lambda (text) (string-match-p "klingon" text)) said)))
        (regend-search "\"qqqzzz\"")
        (regend-tests-until (lambda () (seq-some (lambda (text) (string-match-p "qqqzzz\\|nothing" text)) said)))))
    (let ((regend-program "no-such-program"))
      (should (string-match-p "set `regend-program'\\|set ‘regend-program’"
                              (error-message-string (should-error (regend-search "x") :type 'user-error)))))
    (let ((default-directory "/ssh:example:/src/"))
      (should-error (regend--directory) :type 'user-error))))

(ert-deftest regend-tests-status ()
  (regend-tests-until ; what another test saved may still be pending
   (lambda ()
     (regend-status)
     (with-current-buffer "*regend status*"
       (string-match-p (concat "ready .*" (directory-file-name regend-tests-root)) (buffer-string))))))

(ert-deftest regend-tests-nothing-is-left ()
  "Questions leave one process, and no buffer but its two."
  (regend-tests-in "src/jobs/queue.py"
    (insert "# changed\n")
    (dotimes (_ (string-to-number (or (getenv "QUESTIONS") "5")))
      (regend--ask-now (regend--search-words "JobQueue" nil) (regend--overlays)))
    (should (null regend--waiting))
    (should (= 0 (buffer-size (process-buffer regend--process))))
    (should (equal (list regend--process (get-buffer-process (process-get regend--process 'regend-errors)))
                   (seq-filter #'process-live-p (process-list))))
    (should (= 2 (length (seq-filter (lambda (buffer) (string-prefix-p " *regend" (buffer-name buffer)))
                                     (buffer-list)))))))

(ert-deftest regend-tests-process-that-ends ()
  "The process of `regenctl' is started again, and a question that it took along fails."
  (regend-tests-in "README.md"
    (let ((said nil))
      (regend--ask-now '("list") nil)
      (cl-letf (((symbol-function 'message) (lambda (text &rest words) (push (apply #'format text words) said))))
        (regend--ask '("status") nil #'ignore)
        (signal-process regend--process 'SIGKILL)
        (regend-tests-until (lambda () (not regend--process))))
      (should (string-match-p "ended" (car said)))
      (should (alist-get 'roots (regend--ask-now '("list") nil))))))

(ert-deftest regend-tests-daemon-restart ()
  "A daemon that has stopped is told, and that it answers again."
  (skip-unless (getenv "CONTROL"))
  (regend-tests-in "README.md"
    (let ((said nil))
      (cl-letf (((symbol-function 'message) (lambda (text &rest words) (push (apply #'format text words) said))))
        (should (regend--ask-now '("list") nil))
        (should-not said)
        (call-process (getenv "CONTROL") nil nil nil "stop")
        (should (string-match-p "regenctl start"
                                (error-message-string (should-error (regend--ask-now '("list") nil) :type 'user-error))))
        (call-process (getenv "CONTROL") nil nil nil "start")
        (regend-tests-until (lambda () (ignore-errors (regend--ask-now '("list") nil))))
        (should (equal "Regend: the daemon answers again" (car said)))
        (regend--ask-now '("list") nil)
        (should (equal 1 (length said)))))))

(provide 'regend-tests)
;;; regend-tests.el ends here
