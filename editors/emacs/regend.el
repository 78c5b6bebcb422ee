;;; regend.el --- Code search by words and meaning  -*- lexical-binding: t; -*-

;; Author: The authors of regend
;; Version: 0.1.0
;; Package-Requires: ((emacs "28.1"))
;; Keywords: tools, matching

;; SPDX-License-Identifier: Apache-2.0

;;; Commentary:

;; Asks the regend daemon, which keeps an index of your source trees
;; fresh, through the program `regenctl', which runs once.  Modified
;; buffers are always searched with the rest.
;;
;;   M-x regend-search    list results, with `xref'
;;   M-x regend-find      choose a result in the minibuffer
;;   M-x regend-live      search as you type (with consult, if it is there)
;;   M-x regend-symbols   find definitions by name
;;   M-x regend-related   find code like the code at point
;;   M-x regend-outline   go to a definition of this file
;;   M-x regend-status    show what is indexed
;;
;; The commands ask the project around the buffer; with a prefix argument
;; they ask all roots.  To use the definitions for `M-.' as well:
;;
;;   (add-hook 'xref-backend-functions #'regend-xref-backend)

;;; Code:

(require 'json)
(require 'project)
(require 'seq)
(require 'subr-x)
(require 'xref)

(declare-function consult--read "ext:consult")
(declare-function consult--dynamic-collection "ext:consult")

(defgroup regend nil
  "Code search by words and meaning."
  :group 'tools
  :prefix "regend-")

(defcustom regend-program "regenctl"
  "Name or path of the program that asks the daemon."
  :type 'string)

(defcustom regend-results 50
  "Maximum number of results, 1 to 1000."
  :type 'natnum)

(defcustom regend-delay 0.05
  "Seconds without a key before `regend-live' asks again."
  :type 'number)

(defcustom regend-limit 20
  "Seconds after which a question that Emacs waits for is given up."
  :type 'number)

(defconst regend--max-buffers 64
  "Maximum modified buffers in one question.")

(defconst regend--max-bytes 990000
  "Maximum bytes of all modified buffers in one question.")

(defconst regend--after-save 2.0
  "Seconds for which a saved buffer is sent, until the daemon has read the file.")

(defvar regend--history nil
  "Earlier queries.")

;;; Modified buffers

(defun regend--fresh-p (buffer)
  "Say whether the daemon may not have the text of BUFFER yet."
  (with-current-buffer buffer
    (and buffer-file-name
         (not (file-remote-p buffer-file-name))
         (or (buffer-modified-p)
             (let ((saved (visited-file-modtime)))
               (and (consp saved)
                    (< -1 (float-time (time-subtract nil saved)) regend--after-save)))))))

(defun regend--text (buffer)
  "Return the text of BUFFER with the line ends that its file has."
  (with-current-buffer buffer
    (let ((text (save-restriction
                  (widen)
                  (buffer-substring-no-properties (point-min) (point-max)))))
      (if (eq 1 (coding-system-eol-type (or buffer-file-coding-system 'utf-8-unix)))
          (string-replace "\n" "\r\n" text)
        text))))

(defun regend--overlays ()
  "Return the modified buffers as a JSON array, or nil if there are none.
The current buffer comes first, then the others as they were used."
  (let ((left regend--max-bytes)
        (overlays nil))
    (dolist (buffer (delete-dups (cons (current-buffer) (buffer-list))))
      (when (and (regend--fresh-p buffer) (< (length overlays) regend--max-buffers))
        (let* ((text (regend--text buffer))
               (size (+ (string-bytes text) 200)))
          (if (> size left)
              (message "Regend: %s is too large for a question; its saved text is searched"
                       (buffer-name buffer))
            (when-let ((json (ignore-errors
                               (json-serialize
                                `((path . ,(expand-file-name (buffer-file-name buffer)))
                                  (text . ,text))))))
              (setq left (- left size))
              (push json overlays))))))
    (when overlays
      (concat "[" (string-join (mapcar #'regend--as-text (nreverse overlays)) ",") "]"))))

(defun regend--as-text (json)
  "Return JSON, which may be bytes, as text."
  (if (multibyte-string-p json) json (decode-coding-string json 'utf-8)))

;;; Asking

(defvar regend--process nil
  "The running `regenctl pipe', which answers all questions.")

(defvar regend--waiting nil
  "Questions without an answer, oldest first, each a list of its callback.")

(defvar regend--lost nil
  "Non-nil if no daemon answered the last question.")

(defun regend--parse (line)
  "Return the answer in LINE."
  (condition-case nil
      (json-parse-string line :object-type 'alist :array-type 'list :null-object nil :false-object nil)
    (error (regend--failed (format "%s gave no answer: %s" regend-program
                                   (string-trim (substring line 0 (min 300 (length line)))))))))

(defun regend--failed (text)
  "Return the answer of a question that failed because of TEXT."
  `((error . ((code . "no_answer") (message . ,text)))))

(defun regend--checked (answer)
  "Return ANSWER, or signal a `user-error' with its message.
Tell once when the daemon is there again."
  (let* ((failure (alist-get 'error answer))
         (lost (member (alist-get 'code failure) '("daemon_not_running" "connection_lost"))))
    (when (and regend--lost (not lost))
      (message "Regend: the daemon answers again"))
    (setq regend--lost lost)
    (when failure
      (user-error "Regend: %s" (alist-get 'message failure)))
    answer))

(defun regend--directory ()
  "Return the directory in which to ask: the root of the project, else this one."
  (when (file-remote-p default-directory)
    (user-error "Regend: %s is on another machine, and the daemon searches this one" default-directory))
  (let ((project (project-current)))
    (expand-file-name (if project (project-root project) default-directory))))

(defun regend--running ()
  "Return the process that answers; start it if it does not run."
  (unless (and regend--process
               (process-live-p regend--process)
               (equal regend-program (car (process-command regend--process))))
    (regend--stop)
    (let ((output (generate-new-buffer " *regend*" t))
          (errors (generate-new-buffer " *regend-errors*" t))
          (default-directory "/")
          (process-adaptive-read-buffering nil))
      (condition-case failure
          (setq regend--process
                (make-process
                 :name "regend" :buffer output :noquery t :connection-type 'pipe :coding 'utf-8-unix :stderr errors
                 :command (list regend-program "pipe") :filter #'regend--received :sentinel #'regend--ended))
        (file-missing
         (regend--drop output)
         (regend--drop errors)
         (user-error "Regend: cannot run %s (%s); set `regend-program'"
                     regend-program (error-message-string failure))))
      (process-put regend--process 'regend-errors errors)
      (when-let ((reader (get-buffer-process errors)))
        (set-process-query-on-exit-flag reader nil)
        (set-process-sentinel reader #'ignore))))
  regend--process)

(defun regend--stop ()
  "End the process that answers; questions without an answer fail."
  (when-let ((process regend--process))
    (delete-process process)
    (regend--ended process nil)))

(defun regend--ended (process _)
  "Give up the questions of PROCESS if it has ended."
  (unless (or (process-live-p process) (not (eq process regend--process)))
    (let* ((errors (process-get process 'regend-errors))
           (said (and (buffer-live-p errors) (with-current-buffer errors (string-trim (buffer-string)))))
           (waiting regend--waiting))
      (setq regend--process nil
            regend--waiting nil)
      (regend--drop (process-buffer process))
      (regend--drop errors)
      (dolist (question waiting)
        (regend--answer question (regend--failed (format "%s ended: %s" regend-program (or said ""))))))))

(defun regend--received (process text)
  "Take TEXT from PROCESS; each whole line answers the oldest question."
  (when (buffer-live-p (process-buffer process))
    (let ((lines nil))
      (with-current-buffer (process-buffer process)
        (goto-char (point-max))
        (insert text)
        (when (string-search "\n" text)
          (goto-char (point-min))
          (while (search-forward "\n" nil t)
            (push (delete-and-extract-region (point-min) (point)) lines))))
      (dolist (line (nreverse lines))
        (regend--answer (pop regend--waiting) (regend--parse line))))))

(defun regend--answer (question answer)
  "Give ANSWER to the callback of QUESTION, unless it was forgotten."
  (when-let ((callback (car question)))
    (setcar question nil)
    (funcall callback answer)))

(defun regend--forget (question)
  "Let QUESTION have no callback any more."
  (when question (setcar question nil)))

(defun regend--start (words overlays callback)
  "Ask with WORDS and OVERLAYS; give the answer to CALLBACK.  Return the question."
  (let* ((process (regend--running))
         (question (list callback))
         (words (append (list (car words)) (and overlays '("--overlay" "-")) (cdr words)))
         (line (condition-case nil
                   (json-serialize `((words . ,(vconcat words)) (directory . ,(expand-file-name default-directory))
                                     (input . ,(or overlays ""))))
                 (error (user-error "Regend: the question is not text")))))
    (setq regend--waiting (append regend--waiting (list question)))
    (process-send-string process (concat (regend--as-text line) "\n"))
    question))

(defun regend--drop (buffer)
  "Delete BUFFER and the process that fills it."
  (when (buffer-live-p buffer)
    (let ((process (get-buffer-process buffer)))
      (when process (delete-process process)))
    (kill-buffer buffer)))

(defun regend--ask (words overlays callback)
  "Ask with WORDS and OVERLAYS; call CALLBACK with the answer.
Failures are shown as messages.  Return the question."
  (regend--start words overlays
                 (lambda (answer)
                   (condition-case failure
                       (funcall callback (regend--checked answer))
                     (user-error (message "%s" (error-message-string failure)))))))

(defun regend--ask-now (words overlays)
  "Ask with WORDS and OVERLAYS, and return the answer."
  (let* ((found nil)
         (question (regend--start words overlays (lambda (answer) (setq found answer)))))
    (unless (regend--wait-for question)
      (regend--stop)
      (user-error "Regend: no answer within %s seconds" regend-limit))
    (regend--checked found)))

(defun regend--wait-for (question)
  "Wait for the answer to QUESTION; return nil if it takes too long."
  (let ((deadline (+ (float-time) regend-limit)))
    (unwind-protect
        (while (and (car question) (< (float-time) deadline))
          (accept-process-output regend--process 0.05))
      (setq deadline (car question))
      (regend--forget question))
    (not deadline)))

(defun regend--search-words (query all)
  "Return the command line that asks for QUERY, in ALL roots if non-nil."
  (append (list "search" "-k" (number-to-string regend-results))
          (and all '("--all"))
          (list "--" query)))

;;; Results

(defun regend--line (result)
  "Return the best line of RESULT."
  (let ((line (alist-get 'line result 0)))
    (if (> line 0) line (alist-get 'start_line result))))

(defun regend--best-text (result)
  "Return the text of the best line of RESULT."
  (let* ((lines (split-string (or (alist-get 'snippet result) (alist-get 'text result) "") "\n"))
         (index (- (regend--line result) (alist-get 'snippet_line result (regend--line result)))))
    (string-trim (or (and (>= index 0) (nth index lines))
                     (alist-get 'text (seq-find (lambda (match)
                                                  (= (alist-get 'line match) (regend--line result)))
                                                (alist-get 'matches result)))
                     (car lines)))))

(defun regend--marked (text words)
  "Return TEXT with the face `xref-match' on WORDS."
  (let ((text (copy-sequence text))
        (case-fold-search t))
    (when words
      (let ((pattern (regexp-opt words))
            (start 0))
        (while (string-match pattern text start)
          (add-face-text-property (match-beginning 0) (match-end 0) 'xref-match nil text)
          (setq start (max (match-end 0) (1+ start))))))
    text))

(defun regend--file (result)
  "Return the absolute name of the file of RESULT."
  (concat (file-name-as-directory (alist-get 'root result)) (alist-get 'path result)))

(defun regend--xref (result words)
  "Return RESULT as an item of xref, with WORDS marked."
  (let ((name (or (alist-get 'qualified result) "")))
    (xref-make (concat (regend--marked (regend--best-text result) words)
                       (if (string-empty-p name) "" (format "  [%s]" name))
                       (if (alist-get 'unsaved result) "  [unsaved]" ""))
               (xref-make-file-location (regend--file result) (regend--line result) 0))))

(defun regend--xrefs (answer)
  "Return the items of ANSWER for xref."
  (let ((words (alist-get 'words answer)))
    (mapcar (lambda (result) (regend--xref result words))
            (or (alist-get 'results answer) (alist-get 'symbols answer)))))

(defun regend--show (answer again)
  "Show ANSWER with xref; AGAIN is a function that asks once more."
  (dolist (note (alist-get 'notes answer))
    (message "Regend: %s" note))
  (let ((items (regend--xrefs answer))
        (first t))
    (if (null items)
        (unless (alist-get 'notes answer)
          (message (if (alist-get 'complete answer)
                       "Regend: nothing found"
                     "Regend: nothing found yet; the index is not complete")))
      (funcall xref-show-xrefs-function
               (lambda ()
                 (if first
                     (progn (setq first nil) items)
                   (regend--xrefs (funcall again))))
               `((window . ,(selected-window)) (display-action . nil))))))

(defun regend--list (words overlays)
  "Ask with WORDS and OVERLAYS, and list the results once they are there."
  (let* ((directory (regend--directory))
         (default-directory directory))
    (regend--ask words overlays
                 (lambda (answer)
                   (regend--show answer
                                 (lambda ()
                                   (let ((default-directory directory))
                                     (regend--ask-now words (regend--overlays)))))))))

;;; Commands

(defun regend--read-query (prompt)
  "Read a query with PROMPT.
The default is the selected text, else the symbol at point."
  (let ((default (if (use-region-p)
                     (buffer-substring-no-properties (region-beginning) (region-end))
                   (thing-at-point 'symbol t))))
    (read-string (format-prompt prompt default) nil 'regend--history default)))

;;;###autoload
(defun regend-search (query &optional all)
  "List results of QUERY, with `xref'; with ALL (a prefix) in all roots."
  (interactive (list (regend--read-query "Search code") current-prefix-arg))
  (regend--list (regend--search-words query all) (regend--overlays)))

;;;###autoload
(defun regend-symbols (name &optional all)
  "List definitions of NAME; with ALL (a prefix) in all roots."
  (interactive (list (regend--read-query "Definition") current-prefix-arg))
  (regend--list (append (list "symbols" "-k" (number-to-string regend-results)) (and all '("--all")) (list "--" name))
                nil))

;;;###autoload
(defun regend-related (&optional all)
  "List code like the code at point; with ALL (a prefix) in all roots."
  (interactive "P")
  (unless buffer-file-name
    (user-error "Regend: this buffer visits no file"))
  (regend--list (append (list "related" "-k" (number-to-string regend-results)) (and all '("--all"))
                        (list "--" (format "%s:%d" buffer-file-name (line-number-at-pos nil t))))
                (regend--overlays)))

(defun regend--go (result)
  "Go to the place of RESULT."
  (xref-push-marker-stack)
  (find-file (regend--file result))
  (widen)
  (goto-char (point-min))
  (forward-line (1- (regend--line result)))
  (back-to-indentation))

(defun regend--candidate (result words)
  "Return RESULT as a line for the minibuffer, with WORDS marked."
  (propertize (format "%s:%d: %s" (alist-get 'path result) (regend--line result)
                      (regend--marked (regend--best-text result) words))
              'regend-result result))

(defun regend--candidates (answer)
  "Return the results of ANSWER as lines for the minibuffer."
  (let ((words (alist-get 'words answer)))
    (delete-dups (mapcar (lambda (result) (regend--candidate result words)) (alist-get 'results answer)))))

(defun regend--choose (prompt candidates)
  "Let the user choose one of CANDIDATES with PROMPT, and go there."
  (let* ((table (lambda (string predicate action)
                  (if (eq action 'metadata)
                      '(metadata (category . regend) (display-sort-function . identity)
                                 (cycle-sort-function . identity))
                    (complete-with-action action candidates string predicate))))
         (chosen (completing-read prompt table nil t)))
    (when-let ((candidate (car (member chosen candidates))))
      (regend--go (get-text-property 0 'regend-result candidate)))))

;;;###autoload
(defun regend-find (query &optional all)
  "Choose a result of QUERY in the minibuffer; with ALL (a prefix) of all roots."
  (interactive (list (regend--read-query "Search code") current-prefix-arg))
  (let* ((default-directory (regend--directory))
         (answer (regend--ask-now (regend--search-words query all) (regend--overlays)))
         (candidates (regend--candidates answer)))
    (if candidates
        (regend--choose (format "%s: " query) candidates)
      (message "Regend: %s" (or (car (alist-get 'notes answer)) "nothing found")))))

;;;###autoload
(defun regend-outline ()
  "Go to a definition of the file, as it was saved last."
  (interactive)
  (unless buffer-file-name
    (user-error "Regend: this buffer visits no file"))
  (let* ((answer (regend--ask-now (list "outline" "--" buffer-file-name) nil))
         (candidates (mapcar (lambda (symbol)
                               (propertize (format "%5d  %s %s" (alist-get 'start_line symbol)
                                                   (alist-get 'kind symbol) (alist-get 'qualified symbol))
                                           'regend-result
                                           (append symbol `((root . ,(alist-get 'root answer))
                                                            (path . ,(alist-get 'path answer))))))
                             (alist-get 'symbols answer))))
    (if candidates
        (regend--choose "Definition: " candidates)
      (message "Regend: no definitions in this file"))))

;;;###autoload
(defun regend-status ()
  "Show what is indexed."
  (interactive)
  (let ((answer (regend--ask-now '("status") nil)))
    (with-help-window "*regend status*"
      (princ (format "regend %s  pid %s  %s\n\n" (alist-get 'version answer) (alist-get 'pid answer)
                     (alist-get 'socket answer)))
      (dolist (root (alist-get 'roots answer))
        (princ (format "%-10s %6d files %6d pending %6d skipped  %s  %s\n"
                       (alist-get 'state root) (alist-get 'files_indexed root) (alist-get 'pending root)
                       (alist-get 'files_skipped root) (alist-get 'path root) (alist-get 'reason root))))
      (dolist (sentence (alist-get 'held_back answer))
        (princ (concat sentence "\n"))))))

;;; As you type

(defvar regend--live nil
  "The question and the timer of the live search: (QUESTION . TIMER).")

(defun regend--stop-live ()
  "Forget the question that `regend-live' has asked or is about to ask."
  (regend--forget (car regend--live))
  (when-let ((timer (cdr regend--live)))
    (cancel-timer timer))
  (setq regend--live nil))

(defun regend--fill (query answer directory)
  "Put ANSWER to QUERY, asked in DIRECTORY, into the buffer of the live search."
  (with-current-buffer (get-buffer-create "*regend live*")
    (let ((inhibit-read-only t))
      (erase-buffer)
      (setq default-directory directory)
      (insert (format "Regend: %s\n" query))
      (dolist (result (alist-get 'results answer))
        (insert (format "%s:%d:%s\n" (file-relative-name (regend--file result) directory) (regend--line result)
                        (regend--best-text result))))
      (dolist (note (alist-get 'notes answer))
        (insert note "\n")))
    (unless (derived-mode-p 'grep-mode) (grep-mode))
    (setq default-directory directory)
    (goto-char (point-min))
    (display-buffer (current-buffer))))

(defun regend--live-changed (directory overlays all)
  "Ask for the words in the minibuffer once no key came for a while.
DIRECTORY, OVERLAYS and ALL are as at the start of the command."
  (regend--stop-live)
  (let ((query (minibuffer-contents-no-properties)))
    (unless (string-blank-p query)
      (setq regend--live
            (cons nil
                  (run-with-timer
                   regend-delay nil
                   (lambda ()
                     (let ((default-directory directory))
                       (setq regend--live
                             (list (regend--ask (regend--search-words query all) overlays
                                                (lambda (answer) (regend--fill query answer directory)))))))))))))

(defun regend--live-plain (all)
  "Search as the user types, in ALL roots if non-nil.
The results are in a buffer of `grep-mode'."
  (let ((directory (regend--directory))
        (overlays (regend--overlays)))
    (unwind-protect
        (minibuffer-with-setup-hook
            (lambda ()
              (add-hook 'after-change-functions
                        (lambda (&rest _) (regend--live-changed directory overlays all)) nil t))
          (read-string "Search code: " nil 'regend--history))
      (regend--wait-for (car regend--live))
      (regend--stop-live))
    (when-let ((buffer (get-buffer "*regend live*")))
      (pop-to-buffer buffer)
      (next-error-select-buffer buffer))))

(defun regend--live-consult (all)
  "Search with consult as the user types, in ALL roots if non-nil."
  (let* ((default-directory (regend--directory))
         (overlays (regend--overlays))
         (chosen
          (consult--read
           (consult--dynamic-collection
            (lambda (query)
              (unless (string-blank-p query)
                (regend--candidates (regend--ask-now (regend--search-words query all) overlays)))))
           :prompt "Search code: " :sort nil :require-match t :category 'regend :history 'regend--history
           :lookup (lambda (chosen candidates &rest _)
                     (when-let ((candidate (car (member chosen candidates))))
                       (get-text-property 0 'regend-result candidate))))))
    (when chosen (regend--go chosen))))

(defun regend--consult-p ()
  "Say whether consult is there, and new enough for questions as they are typed.
Older ones take a question only behind a separator."
  (and (require 'consult nil t)
       (fboundp 'consult--dynamic-collection)
       (eq 'many (cdr (func-arity 'consult--dynamic-collection)))))

;;;###autoload
(defun regend-live (&optional all)
  "Search as you type; with ALL (a prefix) in all roots.
With consult, results appear in the minibuffer; else in a buffer of
`grep-mode', where `next-error' goes through them."
  (interactive "P")
  (if (regend--consult-p)
      (regend--live-consult all)
    (require 'grep)
    (regend--live-plain all)))

;;;###autoload
(defun regend-project-search ()
  "Search the current project; for `project-switch-commands'."
  (interactive)
  (let ((default-directory (project-root (project-current t))))
    (call-interactively #'regend-search)))

;;; Definitions for xref

;;;###autoload
(defun regend-xref-backend ()
  "Return the name of the backend, for `xref-backend-functions'."
  (and buffer-file-name (not (file-remote-p buffer-file-name)) 'regend))

(cl-defmethod xref-backend-identifier-at-point ((_ (eql 'regend)))
  "Return the symbol at point."
  (thing-at-point 'symbol t))

(defun regend--definitions (name)
  "Return the definitions of NAME."
  (let ((default-directory (regend--directory)))
    (alist-get 'symbols (regend--ask-now (list "symbols" "-k" "100" "--" name) nil))))

(cl-defmethod xref-backend-definitions ((_ (eql 'regend)) identifier)
  "Return the places where IDENTIFIER is defined."
  (let* ((found (regend--definitions identifier))
         (exact (seq-filter (lambda (symbol)
                              (or (equal (alist-get 'name symbol) identifier)
                                  (equal (alist-get 'qualified symbol) identifier)))
                            found)))
    (mapcar (lambda (symbol) (regend--xref symbol nil)) (or exact found))))

(cl-defmethod xref-backend-apropos ((_ (eql 'regend)) pattern)
  "Return definitions whose name begins with PATTERN."
  (mapcar (lambda (symbol) (regend--xref symbol nil)) (regend--definitions pattern)))

(cl-defmethod xref-backend-identifier-completion-table ((_ (eql 'regend)))
  "Return a table that asks for names as they are completed."
  (completion-table-dynamic
   (lambda (prefix)
     (unless (string-blank-p prefix)
       (mapcar (lambda (symbol) (alist-get 'name symbol)) (ignore-errors (regend--definitions prefix)))))
   t))

(provide 'regend)
;;; regend.el ends here
